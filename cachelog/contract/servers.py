"""How lines of servers of language models begin: the dialects of each claim them, those of free text leave them alone.

vLLM, SGLang and LMCache write with Python's logging, often several of them into one stream; Ollama writes with Go's
slog, text-generation-inference with Rust's tracing.
"""

from __future__ import annotations

_LEVEL = r"(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL)"
_TIME = r"20[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}"

#: vLLM names its processes since 0.10: (EngineCore_DP0 pid=23397)
_PROCESS = (
    r"\((?:APIServer|ApiServer|EngineCore|Engine|DPCoordinator|VllmWorker|Worker|RayWorkerWrapper)"
    r"[A-Za-z0-9_ =]* pid=[0-9]+[^)]*\) ?"
)
_LMCACHE = rf"\[{_TIME},[0-9]{{3}}\] LMCache [A-Z]+:|{_LEVEL} LMCache: |Reqid: [^ ,]+, Total tokens "
LMCACHE = rf"^(?:{_PROCESS})?(?:{_LMCACHE})"
#: vLLM's time has no year: INFO 08-01 20:59:09 [loggers.py:273]; before 0.7 without the opening bracket.
_VLLM = rf"{_LEVEL} [0-9]{{2}}-[0-9]{{2}} [0-9:]{{8}}(?:\.[0-9]+)? \[?[A-Za-z0-9_./]+\.py:[0-9]+\]"
VLLM = rf"^(?:{_PROCESS}|(?:{_PROCESS})?{_VLLM})"

_RANKS = r"(?: [A-Z_]+[0-9]+)+"
#: What SGLang says without naming a rank.
_SAYS = (
    r"(?:Prefill|Decode) batch|server_args=|max_total_num_tokens=|The server is fired up|Cache flushed|KV Cache is|"
    r"Memory pool|Load weight|Init |Capture |Using |Tree cache|SWAKVPool|Use sliding|kill_process_tree|Subprocess |"
    r"SIG[A-Z]+ received|Sleeping |No live scheduler|Overriding |Attention backend|Endpoint|DFLASH|Initialized |INFO:  "
)
SGLANG = rf"^\[{_TIME}(?:{_RANKS}\] |\] (?:{_LEVEL} [a-z_]+\.py:[0-9]+: )?(?:{_SAYS}))"

_FILES = (
    "routes|images|sched|server|runner|ollamarunner|llamarunner|types|cache|causal|ggml|gguf|gpu|cpu|amd_linux|"
    "amd_windows|cuda_common|memory|download|upload|auth|payload|device|backend|model|manifest|layer|prompt|llama|"
    "logging|status|llm_darwin|create|sample|samplers|vocabulary|process_text|bytepairencoding|sentencepiece|quantization"
)
OLLAMA = (
    rf"^(?:time=[^ ]+ level=[A-Z]+ source=(?:{_FILES})\.go:[0-9]+ msg=|\[GIN\] [0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}} - |"
    rf"[0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}} [0-9:]{{8}} (?:{_FILES})\.go:[0-9]+: [A-Z]+ )"
)
TGI = rf"^(?:{_TIME}[0-9.]*Z +)?{_LEVEL} +(?:[a-z_-]+(?:\{{.*\}})?: ?)*text_generation_(?:launcher|router)[a-z_:0-9]*: "

#: Those of them that would pass for free text, or for pairs.
FREE = rf"{LMCACHE}|{VLLM}|{SGLANG}|{OLLAMA}|{TGI}"

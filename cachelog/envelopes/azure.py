"""Azure Monitor: containers' lines as Log Analytics stores and exports them, and as diagnostic settings send them.

A row of ContainerLogV2 (LogMessage is text, or an object where the line was JSON), ContainerLog, or Container Apps; in
lines as exports have them, or in an array as `az monitor log-analytics query` prints it. To event hubs and storage,
diagnostic settings write {"records": [{"time": ..., "category": ..., "properties": {"log": ...}}]}.
"""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "azure"
SOURCE = "learn.microsoft.com/azure/azure-monitor/reference/tables/containerlogv2; resource logs schema"
BLIND = "answers of the query API itself, which keep names of columns apart from rows, are not understood"
SAMPLES = (
    '{"TimeGenerated":"2026-11-23T15:16:30.2404271Z","PodName":"scorer-0","ContainerName":"scorer","LogMessage":'
    '"INFO uvicorn.error: ready","LogSource":"stdout","Type":"ContainerLogV2"}',
    '{"TimeGenerated":"2026-11-23T15:16:30Z","LogEntry":"INFO ready","LogEntrySource":"stdout","Name":"x"}',
    '{"TimeGenerated":"2026-11-23T15:16:30Z","Log_s":"INFO ready","ReplicaName_s":"scorer-0"}',
    '{"records":[{"time":"2026-11-23T15:16:30Z","resourceId":"/R","category":"ContainerAppConsoleLogs","properties":'
    '{"Log":"INFO uvicorn.error: ready","Stream":"stdout","ReplicaName":"scorer-0"}}]}',
)

LAYOUTS = (
    Layout(
        payload=("LogMessage", "LogEntry", "Log_s"),
        time=("TimeGenerated", "time_t"),
        replica=("PodName", "ReplicaName_s", "ContainerGroupInstance_s", "Name", "ContainerId", "Computer"),
        tells=(("LogMessage", "LogEntry", "Log_s"), ("TimeGenerated",)),
    ),
    Layout(
        records="records[]",
        payload=("properties.log", "properties.Log", "properties.LogMessage", "properties.message"),
        time=("time", "properties.timestamp"),
        replica=("properties.pod", "properties.ReplicaName", "properties.PodName", "properties.containerID"),
        stream=("properties.stream", "properties.Stream"),
        tells=(("category",), ("time",), ("properties",)),
    ),
)

# Completion of telemetry for bash; made by: telemetry completion bash

_telemetry() {
    local IFS=$'\n'
    COMPREPLY=($(command telemetry _complete bash "$2" -- "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
    if [ "${COMPREPLY[0]-}" = '<files>' ]; then
        COMPREPLY=()
        compopt -o default 2>/dev/null
    fi
}

complete -o nosort -F _telemetry telemetry 2>/dev/null || complete -F _telemetry telemetry

# Completion of telemetry for fish; made by: telemetry completion fish

function __telemetry_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l word (string trim --left --chars="'\"" -- (commandline -ct))
    set -l answers (command telemetry _complete fish -- $words "$word" 2>/dev/null)
    if test "$answers[1]" = '<files>'
        set -l option (string match -r -- '^--[^=]*=' "$word")
        set -l found (__fish_complete_path (string replace -r -- '^--[^=]*=' '' "$word"))
        test -n "$found" && printf '%s\n' "$option"$found
    else if test -n "$answers[1]"
        printf '%s\n' $answers
    end
end

complete -c telemetry -f -k -a '(__telemetry_complete)'

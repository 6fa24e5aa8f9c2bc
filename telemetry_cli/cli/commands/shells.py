"""The completion scripts. They only ask: `telemetry _complete SHELL … -- WORDS…` prints what may come next, a word on each line.

`<files>` as the answer asks the shell to complete file names.
"""

_HEADING = """# Completion of telemetry for {0}; made by: telemetry completion {0}
"""

_BASH = r"""
_telemetry() {
    local IFS=$'\n'
    COMPREPLY=($(command telemetry _complete bash "$2" -- "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
    if [ "${COMPREPLY[0]-}" = '<files>' ]; then
        COMPREPLY=()
        compopt -o default 2>/dev/null
    fi
}

complete -o nosort -F _telemetry telemetry 2>/dev/null || complete -F _telemetry telemetry
"""

_ZSH = r"""
_telemetry() {
    local line
    local -a answers candidates lines
    answers=("${(@f)$(command telemetry _complete zsh -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    if [[ $answers[1] == '<files>' ]]; then
        compset -P '--*='
        _files
        return
    fi
    for line in $answers; do
        candidates+=("${line%%$'\t'*}")
        lines+=("${line/$'\t'/  -- }")
    done
    (( $#candidates )) && compadd -l -V telemetry -d lines -a candidates
}

if [[ $funcstack[1] == _telemetry ]]; then
    _telemetry "$@"
else
    compdef _telemetry telemetry
fi
"""

_FISH = r"""
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
"""

_POWERSHELL = r"""
Register-ArgumentCompleter -Native -CommandName telemetry -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object { '=' + $(if ($null -ne $_.Value) { $_.Value } else { $_.Extent.Text }) })
    $word = "$wordToComplete".Trim("'", '"')
    foreach ($answer in @(telemetry _complete powershell -- @words "=$word" 2>$null)) {
        if ($answer -eq '<files>') {
            [System.Management.Automation.CompletionCompleters]::CompleteFilename($word)
            continue
        }
        $candidate, $meaning = $answer -split "`t", 2
        $text = if ($candidate -match '^[A-Za-z0-9_./-]+$') { $candidate } else { "'$candidate'" }
        $tip = if ($meaning) { $meaning } else { $candidate }
        [System.Management.Automation.CompletionResult]::new($text, $candidate, 'ParameterValue', $tip)
    }
}
"""

#: Shell → its script.
SCRIPTS = {
    "bash": _HEADING.format("bash") + _BASH,
    "zsh": "#compdef telemetry\n" + _HEADING.format("zsh") + _ZSH,
    "fish": _HEADING.format("fish") + _FISH,
    "powershell": _HEADING.format("powershell") + _POWERSHELL,
}


def words_of(line: str) -> list[str]:
    """The words of a bash command line that is cut off where the cursor stands; the last one is empty after a blank."""
    words, word, quote = [], "", ""
    chars = iter(line)
    for char in chars:
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char == "\\" and quote != "'":
            word += next(chars, "")
        elif not quote and char.isspace():
            words.append(word)
            word = ""
            continue
        else:
            word += char
    return [*filter(None, words), word]

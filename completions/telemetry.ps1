# Completion of telemetry for powershell; made by: telemetry completion powershell

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

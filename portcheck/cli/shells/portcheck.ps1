# Completion of portcheck for PowerShell.  portcheck itself says what could come next; nothing that it says is evaluated.

Register-ArgumentCompleter -Native -CommandName portcheck, whyport -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $before = @($commandAst.CommandElements |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        Select-Object -Skip 1 |
        ForEach-Object { $_.Extent.Text })
    try {
        $env:_PORTCHECK_COMPLETE = 'powershell'
        $env:_PORTCHECK_WORDS = ($before + $wordToComplete) -join "`n"
        $lines = @(& $commandAst.GetCommandName() 2>$null)
    }
    finally {
        Remove-Item Env:_PORTCHECK_COMPLETE, Env:_PORTCHECK_WORDS -ErrorAction SilentlyContinue
    }
    # Files, directories and commands PowerShell completes by itself.
    if ($lines.Count -lt 2 -or $lines[0] -ne 'words') { return }
    $lines | Select-Object -Skip 1 | ForEach-Object {
        $value, $text = $_ -split "`t", 2
        if (-not $text) { $text = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $text)
    }
}

"""The completion script of PowerShell."""

from __future__ import annotations

from collections.abc import Iterable

from hoopx_cli.completion_tree import HEADER, Spot, filled, options_behind, quoted


def script(places: list[Spot]) -> str:
    return filled(
        _SCRIPT,
        HEADER=HEADER,
        WORDS=_table((spot.path, " ".join(spot.words)) for spot in places),
        OPTIONS=_table((spot.path, " ".join(spot.options)) for spot in places),
        TAKES=_table((spot.path, spot.takes) for spot in places if spot.takes),
        BEHIND=_table((f"{path} {option}", tokens) for path, option, tokens in options_behind(places)),
    )


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"    {quoted(key)} = {quoted(value)}" for key, value in rows)


_SCRIPT = r"""# hoopx completion for PowerShell. @HEADER@
$script:HoopxWords = @{
@WORDS@
}
$script:HoopxOptions = @{
@OPTIONS@
}
$script:HoopxTakes = @{
@TAKES@
}
$script:HoopxBehind = @{
@BEHIND@
}

# Names of a kind. What a name may look like is checked here too.
function script:Get-HoopxName {
    param([string] $Kind, [string[]] $Typed)
    $place = if ($env:HOOPX_HOME) { $env:HOOPX_HOME } else { Join-Path $HOME '.hoopx' }
    $broker = "$env:HOOPX_BROKER"
    $account = if ($env:HOOPX_TOKEN) { '' } else { "$env:HOOPX_ACCOUNT" }
    $given = @()
    for ($at = 0; $at -lt $Typed.Count; $at++) {
        $word = $Typed[$at]
        if ($word -eq '--broker' -or $word -eq '--account') {
            if ($at + 1 -ge $Typed.Count) { continue }
            $word = $word + '=' + $Typed[$at + 1]
        }
        if ($word -like '--broker=*') { $broker = $word.Substring(9); $given += $word }
        if ($word -like '--account=*') { $account = $word.Substring(10); $given += $word }
    }
    $settings = Join-Path $place 'settings.json'
    if (-not $broker -and (Test-Path -PathType Leaf $settings)) {
        $broker = [string] (Get-Content -Raw $settings | ConvertFrom-Json).broker
    }
    if (-not $broker) { $broker = '127.0.0.1:8443' }
    $broker = $broker -replace '^https://', '' -replace '/$', ''
    if ($broker -notmatch ':[0-9]+$') { $broker = $broker + ':443' }
    if (-not $account -and $env:HOOPX_TOKEN) {
        $account = '_token'
    }
    else {
        $accounts = Join-Path $place 'accounts.json'
        if (-not $account -and (Test-Path -PathType Leaf $accounts)) {
            $account = [string] (Get-Content -Raw $accounts | ConvertFrom-Json)."https://$broker".current
        }
        $account = if ($account) { 'by-' + ($account -creplace '[^A-Za-z0-9.@+_-]', '_') } else { '_' }
    }
    $names = Join-Path $place 'names'
    $folder = Join-Path $names ($broker -creplace '[^A-Za-z0-9.-]', '_')
    if ($Kind -ne 'accounts') { $folder = Join-Path $folder $account }
    $file = Join-Path $folder $Kind
    $now = [DateTimeOffset]::UtcNow.ToUnixTimeSeconds()
    $fresh = 0
    if (Test-Path -PathType Leaf $file) {
        $lines = @(Get-Content $file)
        if ($lines.Count -gt 0 -and $lines[0] -match '^# ([0-9]{1,12}) ([0-9]{1,12})$') {
            $fresh = [long] $Matches[1]
            if ($now -lt [long] $Matches[2]) {
                $lines | Select-Object -Skip 1 | Where-Object { $_ -cmatch '^[A-Za-z0-9][A-Za-z0-9._@+-]*$' }
            }
        }
    }
    # Only a broker that a command has talked to before is asked.
    if ($Kind -ne 'accounts' -and $now -ge $fresh -and (Test-Path -PathType Container (Split-Path $folder))) {
        $start = [System.Diagnostics.ProcessStartInfo]::new('hoopx')
        $start.UseShellExecute = $false
        $start.RedirectStandardInput = $true
        $start.RedirectStandardOutput = $true
        $start.RedirectStandardError = $true
        foreach ($word in @('refresh-names', $Kind) + $given) { $start.ArgumentList.Add($word) }
        try { $null = [System.Diagnostics.Process]::Start($start) } catch { $null = $_ }
    }
}

Register-ArgumentCompleter -Native -CommandName hoopx -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $path = ''
    $before = ''
    $typed = @()
    foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {
        if ($element.Extent.EndOffset -ge $cursorPosition) { break }
        $word = $element.Extent.Text
        if ($word -eq '--') {
            # It is another command's turn.
            $behind = $element.Extent.EndOffset - $commandAst.Extent.StartOffset
            $rest = $commandAst.Extent.Text.Substring($behind).TrimStart()
            $found = [System.Management.Automation.CommandCompletion]::CompleteInput($rest, $rest.Length, $null)
            return $found.CompletionMatches
        }
        $before = $word
        $typed += $word
        $next = "$path $word".Trim()
        if ($script:HoopxWords.ContainsKey($next)) { $path = $next }
    }
    $start = ''
    $current = $wordToComplete
    if ($current -like '--*=*') {
        $before, $current = $current -split '=', 2
        $start = "$before="
    }
    $takes = $script:HoopxBehind["$path $before"]
    if (-not $takes) { $takes = $script:HoopxBehind["* $before"] }
    $found = @()
    if (-not $takes) {
        if ($current -like '-*') {
            $found = @($script:HoopxOptions[$path] -split ' ')
        }
        else {
            $found = @($script:HoopxWords[$path] -split ' ')
            $takes = $script:HoopxTakes[$path]
        }
    }
    foreach ($token in @($takes -split ' ')) {
        if ($token -like '=*') {
            $found += $token.Substring(1)
        }
        elseif ($token -eq 'files' -or $token -eq 'folders') {
            [System.Management.Automation.CompletionCompleters]::CompleteFilename($current)
        }
        elseif ($token -and $token -ne '-') {
            $found += @(Get-HoopxName -Kind $token -Typed $typed)
        }
    }
    $found | Where-Object { $_ -and $_.StartsWith($current) } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new("$start$_", $_, 'ParameterValue', $_)
    }
}
"""

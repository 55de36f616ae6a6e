"""Whether TAB completes in this user's shell, and by a script of this version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from hoopx_cli.completion import FILES, Shell, folder
from hoopx_cli.doctor.findings import Checked, fine, odd, unlooked

MAX_SCRIPT = 1_048_576  # bytes read of a start-up file
_NAMES = {"bash": Shell.BASH, "zsh": Shell.ZSH, "fish": Shell.FISH, "pwsh": Shell.POWERSHELL}
_INSTALL = {
    Shell.BASH: "hoopx completion bash > ~/.local/share/bash-completion/completions/hoopx",
    Shell.ZSH: "hoopx completion zsh > ~/.zfunc/_hoopx, a folder that `fpath` in ~/.zshrc has before `compinit`",
    Shell.FISH: "hoopx completion fish > ~/.config/fish/completions/hoopx.fish",
    Shell.POWERSHELL: "hoopx completion powershell | Out-String | Invoke-Expression, in $PROFILE",
}


def completion(environ: Mapping[str, str], root: Path = Path("/")) -> Checked:
    """By SHELL; where it is not set, nobody sits at a prompt. `root` is where the system's own folders are."""
    named = Path(environ.get("SHELL") or "-").name
    shell = _NAMES.get(named)
    if shell is None:
        return unlooked("completion", f"there is none for `{named}`" if named != "-" else "SHELL is not set")
    script = (folder() / FILES[shell]).read_bytes()
    here = [path for path in _places(shell, environ, root) if path.is_file()]
    if here:
        if here[0].read_bytes() == script:
            return fine("completion", f"{named} has it, in {here[0]}", shell=named, file=str(here[0]))
        mend = f"hoopx completion {shell.value} > {here[0]}"
        return odd("completion", f"{here[0]} is of another version of hoopx", mend, shell=named, file=str(here[0]))
    for path in _start_files(shell, environ):
        if f"hoopx completion {shell.value}" in _begun(path):
            return fine("completion", f"{named} makes it anew at each start, by {path}", shell=named, file=str(path))
    return odd("completion", f"{named} does not complete hoopx", _INSTALL[shell], shell=named)


def _places(shell: Shell, environ: Mapping[str, str], root: Path) -> Iterator[Path]:
    """Where a shell looks by itself, and where its manuals tell people to put it: the user's own first."""
    home = Path(environ.get("HOME") or "/nonexistent")
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    match shell:
        case Shell.BASH:
            own = environ.get("BASH_COMPLETION_USER_DIR")
            for place in (*([Path(own)] if own else []), data / "bash-completion"):
                yield from (place / "completions" / name for name in ("hoopx", "hoopx.bash", "_hoopx"))
            yield root / "usr/local/share/bash-completion/completions/hoopx"
            yield root / "usr/share/bash-completion/completions/hoopx"
            yield root / "etc/bash_completion.d/hoopx"
        case Shell.ZSH:
            for name in (".zfunc", ".zsh/completions", ".zsh/completion", ".oh-my-zsh/completions"):
                yield home / name / "_hoopx"
            for where in ("usr/local/share/zsh/site-functions", "usr/share/zsh/vendor-completions"):
                yield root / where / "_hoopx"
            yield root / "usr/share/zsh/site-functions/_hoopx"
        case Shell.FISH:
            yield config / "fish/completions/hoopx.fish"
            for where in ("etc/fish/completions", "usr/share/fish/vendor_completions.d"):
                yield root / where / "hoopx.fish"
        case Shell.POWERSHELL:
            yield from ()


def _start_files(shell: Shell, environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ.get("HOME") or "/nonexistent")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    match shell:
        case Shell.BASH:
            yield from (home / name for name in (".bashrc", ".bash_profile", ".profile", ".bash_completion"))
        case Shell.ZSH:
            yield Path(environ.get("ZDOTDIR") or home) / ".zshrc"
        case Shell.FISH:
            yield config / "fish/config.fish"
        case Shell.POWERSHELL:
            yield config / "powershell/Microsoft.PowerShell_profile.ps1"
            yield config / "powershell/profile.ps1"


def _begun(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(MAX_SCRIPT).decode(errors="replace")

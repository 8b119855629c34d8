"""``rustrak completion``: the script that teaches a shell to complete the command."""

import click
from click.shell_completion import get_completion_class

from rustrak_http.cli.command import examples


@click.command(
    epilog=examples(
        "source <(rustrak completion bash)",
        "rustrak completion bash > ~/.local/share/bash-completion/completions/rustrak",
        'rustrak completion zsh > "${fpath[1]}/_rustrak"',
        "rustrak completion fish > ~/.config/fish/completions/rustrak.fish",
    )
)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL: bash, zsh or fish."""
    found = get_completion_class(shell)
    if found is None:  # click knows these three
        raise click.UsageError(f"no completion for {shell}")
    root = click.get_current_context().find_root().command
    script = found(root, {}, "rustrak", "_RUSTRAK_COMPLETE")
    click.echo(script.source_template % script.source_vars())

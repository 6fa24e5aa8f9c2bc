"""The Typer declarations: commands, options, help. One module per noun; nothing is run here."""

"""`python -m service.cli`, where the script `receptive` is not installed."""

from service.cli.main import receptive

receptive(prog_name="receptive")

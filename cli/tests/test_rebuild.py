"""Who lets events go says of which service, and is not taken at their word for another one."""

from typer.testing import CliRunner

from redress_cli.main import app


def test_the_service_that_may_lose_is_the_one_that_is_rebuilt(tmp_path):
    result = CliRunner().invoke(app, ["rebuild", "triage", "--accept-loss", "intake", "--folder", str(tmp_path)])
    assert result.exit_code == 1 and "--accept-loss names intake, and triage is to be rebuilt" in " ".join(result.output.split())

"""The package as a whole."""

from importlib.metadata import version

import zchat


def test_version_is_that_of_the_installed_package() -> None:
    assert zchat.__version__ == version("zchat")

"""What the outputs of notebooks must not depend on: what happens to be on this disk.

Without released weights and torchvision's data sets the notebooks say what to do.
"""

import os

os.environ["MINICLIP_REAL"] = os.environ["MINICLIP_DATA"] = "not/here"


def pytest_configure(config):
    config.pluginmanager.import_plugin("plugin")

"""What tests must not depend on: the internet, and what happens to be on this disk."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_configure(config):
    config.pluginmanager.import_plugin("plugin")

"""What tests must not depend on: the internet."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"

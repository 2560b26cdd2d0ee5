"""What tests must not depend on: the internet, and weights that a developer's machine may have fetched before."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MINICLIP_REAL"] = "not/here"  # notebook 09 is compared as it is without OpenAI's weights

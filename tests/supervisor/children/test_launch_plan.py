"""What each child is given."""

from __future__ import annotations

import pickle

from gridbot.config.models import GridbotConfig
from gridbot.config.paper_secrets import with_paper_secrets
from supervisor.children.launch_plan import plan_of

CONFIG = {
    "accounts": [
        {"name": "anna", "environment": "demo", "api_key": "key-of-anna", "api_secret": "sesame-of-anna"},
        {"name": "ben", "environment": "testnet", "api_key": "key-of-ben", "api_secret": "sesame-of-ben"},
        {"name": "cleo", "environment": "paper", "api_key": "key-of-cleo"},
    ]
}


def test_each_process_is_given_the_keys_and_secrets_that_it_needs() -> None:
    config = with_paper_secrets(GridbotConfig.model_validate(CONFIG), b"seed")
    cleo = config.account("cleo").api_secret.get_secret_value()
    plan = plan_of(config, "gridbot.yaml", console=False, control_token="open-sesame")
    known = {
        child.name: {
            word
            for word in (
                "key-of-anna",
                "sesame-of-anna",
                "key-of-ben",
                "sesame-of-ben",
                "key-of-cleo",
                cleo,
                "open-sesame",
            )
            if word.encode() in pickle.dumps(child.args)
        }
        for child in plan.children
    }
    assert known == {
        "paper": {"key-of-cleo", cleo, "open-sesame"},
        "writer": set(),
        "worker-anna": {"key-of-anna", "sesame-of-anna"},
        "worker-ben": {"key-of-ben", "sesame-of-ben"},
        "worker-cleo": {"key-of-cleo", cleo},
    }

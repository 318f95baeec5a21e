"""The calls shown in docs/api.md pass every check."""

import json
import re
import shlex
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from milepost.orders.app import create_app
from milepost.settings import Settings

TEXT = (Path(__file__).parents[3] / "docs" / "api.md").read_text()


async def test_every_call_of_the_document_is_taken(
    edge_settings: Settings, call: Callable[..., httpx.AsyncClient]
) -> None:
    calls = [shlex.split(block.replace("\\\n", " ")) for block in re.findall(r"```sh\n(curl .*?)```", TEXT, re.S)]
    assert len(calls) >= 3
    async with call(create_app(edge_settings)) as http:
        for words in calls:
            options: dict[str, list[str]] = {}
            for option, value in pairwise(words):
                options.setdefault(option, []).append(value)
            (url,) = (word for word in words if word.startswith("http://"))
            answer = await http.request(
                options["-X"][0] if "-X" in options else "POST",
                urlsplit(url).path,
                content=options["-d"][0],
                headers=[tuple(header.split(": ", 1)) for header in options["-H"]],  # type: ignore[misc]
            )
            assert answer.status_code == 503, (words, answer.text)


def test_the_json_shown_is_json() -> None:
    blocks = re.findall(r"```json\n(.*?)```", TEXT, re.S)
    assert len(blocks) >= 2
    for block in blocks:
        json.loads(block)

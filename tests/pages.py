"""What tests see of a page: its elements, its text, and that nothing in it can run."""

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, attribute: str) -> list[str]:
        return [found[attribute] or "" for _, found in self.elements if attribute in found]


def assert_inert(source: str) -> Page:
    """Nothing is loaded and nothing can run."""
    page = Page(source)
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert [name for _, attributes in page.elements for name in attributes if name.startswith("on")] == []
    links = page.all("src") + page.all("href") + page.all("xlink:href")
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert set(re.findall(r"url\((?!#)|@import", source)) == set()
    return page

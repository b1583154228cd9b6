"""Paths in stack traces as modules: what a file is called wherever it was installed.

A path begins with where it is installed, and nothing in it says where that ends. What is taken is the file and the
folder it is in, which is its package or module in every language; a folder that says where things are put (`app`,
`src`, `releases/20260301`, `checkout-1.42.0`) or whose home it is, is left out.
"""

import re

_LIBRARY = re.compile(
    r"site-packages|dist-packages|/lib/python\d|/Python\d+/Lib/|^<.*>$|node_modules|^node:|^internal/|<anonymous>"
    r"|/usr/local/go/|/go[\d.-]*/(?:\w+/)?src/(?:runtime|net|internal)/|/pkg/mod/|@v\d|/vendor/|/gems/|/lib/ruby/\d"
    r"|\[native code\]|^chrome-extension:|^moz-extension:"
)
# Folders that things are put into, by convention of one tool or another.
_INSTALLED = re.compile(
    r"(?:apps?|application|src|source|sources|srv|opt|code|libs?|dist|build|out|bin|target|current|releases?|workspaces?"
    r"|work|repos?|home|users|root|usr|local|var|www|html|htdocs|public|wwwroot|inetpub|sites?|function|task|tmp|temp"
    r"|bundles?|assets|static|js|chunks?|deploy|server|projects?"
    r"|v?\d+(?:[._-].*)?|[0-9a-f]{7,40}|.+[-@]v?\d[\w.]*)",
    re.IGNORECASE,
)
_BEFORE = re.compile(r"^(?:file://|[a-z][\w+.-]*://[^/]*|[A-Za-z]:|/(?:home|Users)/[^/]+(?=/))", re.IGNORECASE)
# What a bundler writes into a file's name so that browsers ask for it again: main.8f3a2b1c.js, index-Bf3q9_zK.js.
_BUILT = re.compile(r"[.-](?:[0-9a-fA-F]{6,}(?=\.\w+$)|(?=[A-Za-z_-]*+\d)[\w-]{8,}+(?=\.[mc]?js$))")
_MINIFIED_FILE = re.compile(r"\.min\.[mc]?js$")
_MINIFIED_NAME = re.compile(r"(?:[\w$]+\.)*[\w$]{0,2}")


def is_of_a_library(path: str) -> bool:
    """Is the file what a service uses, rather than what it is?"""
    return bool(_LIBRARY.search(path.replace("\\", "/")))


def shown_file(path: str) -> str:
    """The last two parts, as people know it."""
    return _BUILT.sub("", "/".join(_parts(path)[-2:]))


def module_of(path: str) -> str:
    """What stays when it is installed elsewhere.

    >>> module_of("/srv/releases/20260301/checkout/pricing.py"), module_of("/srv/releases/20260301/main.py")
    ('checkout/pricing.py', 'main.py')
    """
    *folders, name = _parts(_BEFORE.sub("", _parts_joined(path))) or [""]
    folder = folders[-1] if folders else ""
    name = _BUILT.sub("", name)
    return f"{folder}/{name}" if folder and not _INSTALLED.fullmatch(folder) else name


def is_minified(path: str, function: str) -> bool:
    """Are its names a bundler's, other ones with each build?"""
    file = path.partition("?")[0].rpartition("/")[2]
    is_bundle = _BUILT.search(file) or _MINIFIED_FILE.search(file)
    return bool(is_bundle and _MINIFIED_NAME.fullmatch(function))


def _parts_joined(path: str) -> str:
    return path.replace("\\", "/").partition("?")[0]


def _parts(path: str) -> list[str]:
    return [part for part in _parts_joined(path).split("/") if part not in ("", ".", "..")]

"""Exit 0 where the service in this container is alive; `readyz` as an argument asks whether it can do its work."""

import os
import sys
import urllib.error
import urllib.request


def main() -> int:
    """Ask the service's own port; 0 for an answer of 2xx, else 1."""
    path = sys.argv[1] if len(sys.argv) > 1 else "healthz"
    url = f"http://127.0.0.1:{os.environ.get('MILEPOST_PORT', '8080')}/{path}"
    try:
        with urllib.request.urlopen(url, timeout=4):
            return 0
    except (urllib.error.URLError, OSError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

# Sourced by scripts/run and scripts/test: goes to the project's root and makes .venv with what is asked for.
# Usage: . "$(dirname "$0")/setup.sh"; setup EXTRAS   (EXTRAS: "" or "[dev]")
cd "$(dirname "$0")/.." || exit 1

setup() {
    python=
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "zchat needs Python 3.11 or later: install it (say: apt-get install python3) or set PYTHON=/path/to/python" >&2
        exit 1
    fi
    if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        rm -rf .venv
        if ! "$python" -m venv .venv; then
            rm -rf .venv
            echo "python3 cannot make a virtual environment: install its venv module (say: apt-get install python3-venv)" >&2
            exit 1
        fi
    fi
    # Installing again is skipped while pyproject.toml is that of the last time, and the extras were in it.
    version=$(cksum < pyproject.toml)
    if ! grep -qxF "zchat$1 $version" .venv/installed 2>/dev/null; then
        echo "installing zchat$1 into .venv ..." >&2
        if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".$1"; then
            echo "pip could not install what zchat needs: see above; it needs to reach a package index" >&2
            exit 1
        fi
        printf 'zchat %s\nzchat%s %s\n' "$version" "$1" "$version" > .venv/installed
    fi
    PATH="$PWD/.venv/bin:$PATH"
    export PATH
}

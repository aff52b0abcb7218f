#!/usr/bin/env bash
# Makes or updates .venv beside this file with tl-tui and its development tools at the pinned versions,
# then runs the given command in it:  bash setup.sh [COMMAND …]
# UV_TORCH_BACKEND (cpu, cu126, auto, …) is uv's own way to choose the torch build; it is passed through.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$here/.venv
die() { echo "setup.sh: $*" >&2; exit 1; }

# What the environment was made from; while it is unchanged there is nothing to do.
wanted=$(cat "$here/pyproject.toml" "$here/constraints.txt" "$here/setup.sh" <(echo "${UV_TORCH_BACKEND:-} $here") | cksum)
if [ "$(cat "$venv/.made-from" 2>/dev/null)" != "$wanted" ]; then
    rm -f "$venv/.made-from"
    if uv=$(command -v uv); then
        [ -x "$venv/bin/python" ] || "$uv" venv --quiet --python '>=3.11' "$venv" || die "uv found no Python 3.11 or later"
    else
        python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
            die "python3 3.11 or later is needed, or uv; found: $(python3 --version 2>&1 || true)"
        [ -x "$venv/bin/python" ] || python3 -m venv "$venv" ||
            die "python3 could not make $venv: install its venv module (on Debian and Ubuntu the package python3-venv)"
        uv=$venv/bin/uv
        [ -x "$uv" ] || "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --constraint "$here/constraints.txt" uv || die "pip could not install uv; is a package index reachable?"
    fi
    echo "setup.sh: installing into $venv (about 5 GB the first time)" >&2
    # Compiled beforehand: where Python may not write, every start would compile all that it imports, for seconds.
    "$uv" pip install --quiet --compile-bytecode --python "$venv/bin/python" --constraints "$here/constraints.txt" \
        --build-constraints "$here/constraints.txt" --editable "$here[dev,onnx,nvidia]" ||
        die "the packages could not be installed; the reason is above"
    "$venv/bin/python" -m compileall -q "$here/engine" "$here/tui" || die "tl-tui's own files could not be compiled"
    echo "$wanted" > "$venv/.made-from"
fi

if [ $# -eq 0 ]; then
    cat <<'TEXT'
tl-tui is ready. What next:
  bash setup.sh tl-tui                    the app, on its own demo set
  bash setup.sh tl-tui FOLDER             the app, on your images
  bash setup.sh tl-tui run FOLDER         the same comparison without the app
  bash setup.sh pytest                    the tests
TEXT
    exit 0
fi
export VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH
exec "$@"

# Record a real job: build this project's wheel, associate it with the commit it was built from, and show the table.
# Run by `./dev demo`; everything is kept in .venv/demo.
set -eu
demo=$PWD/.venv/demo
export TELEMETRY_BASE_DIR="$demo/base"

eval "$(telemetry run start --agent-name demo --job-type wheel --input-summary "the tree at $PWD" -o env)"
code=0
python -m pip wheel --quiet --no-deps --wheel-dir "$demo/wheel" . || code=$?
telemetry run end --exit-code $code -m bytes="$(wc -c "$demo"/wheel/*.whl | awk 'END {print $1}')"
telemetry associate-commit
telemetry query --agent-name demo
telemetry run show
exit $code

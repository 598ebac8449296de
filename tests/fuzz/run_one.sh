#!/bin/bash
# run_one.sh PROGRAM NAME - runs one fuzz target for MANSIO_FUZZ_SECONDS on a copy of its corpus (default: the share
# of six minutes that all targets together take in CI, two at a time). A finding is kept in build/fuzz/findings.
set -u
program=$1 name=$2
seconds=${MANSIO_FUZZ_SECONDS:-34}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p build/fuzz/findings "$work/corpus"
cp tests/fuzz/corpus/"$name"/* "$work/corpus"/ 2>/dev/null
dict=$(find tests/fuzz -name "$name.dict" | head -n 1)
"$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -len_control=50 \
    -artifact_prefix="build/fuzz/findings/$name-" ${dict:+-dict="$dict"} -print_final_stats=1 \
    "$work/corpus" >"$work/log" 2>&1
rc=$?
if [ $rc != 0 ]; then
    cat "$work/log"
    echo "finding kept in build/fuzz/findings; it becomes a file of tests/fuzz/corpus/$name with the fix"
    exit $rc
fi
grep -E 'stat::number_of_executed_units|stat::new_units_added' "$work/log"

#!/bin/sh
# run FOLDER VARIABLE=VALUE... PROGRAM...: with the fake driver of FOLDER; fails
# also if the driver saw a wrong call, or if something was never given back.
folder=$1
shift
rm -f log
env LD_LIBRARY_PATH="$folder" FAKE_CUDA_LOG="$PWD/log" "$@"
status=$?
if grep -q '^error:' log ||
    ! grep -q '^left: 0 allocations, 0 pinned, 0 modules, 0 streams, 0 events, 0 contexts, depth 0$' log; then
  cat log
  exit 99
fi
exit $status

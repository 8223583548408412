#!/bin/sh
# Interesting is what still has a gather.
grep -q nibble.gather "$1" && exit 1
exit 0

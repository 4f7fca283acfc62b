#!/bin/sh
# Replaces gor in this example: records its arguments and runs until it is stopped.
echo "$@" >> /tmp/lighthouse-outputs/mirror.calls
trap 'exit 0' TERM INT
while :; do sleep 1; done

#!/bin/sh
# Stands in for gor: writes down its arguments, and runs until it is asked to end.
echo "$@" >> /tmp/lighthouse-outputs/mirror.calls
trap 'exit 0' TERM INT
while :; do sleep 1; done

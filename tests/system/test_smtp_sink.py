"""Relaying to a server that is not the test's own: Postfix's smtp-sink, unpacked by tests/support/peers.sh."""
import os, socket, subprocess

import pytest

from host import Host, ROOT, free_port, wait_for

PEER = ROOT / 'build/peers/postfix'
SINK = PEER / 'usr/sbin/smtp-sink'


def answers(port):
    try:
        socket.create_connection(('127.0.0.1', port), 1).close()
        return True
    except OSError:
        return False


@pytest.mark.root
@pytest.mark.skipif(not SINK.exists(), reason='smtp-sink is not unpacked')
def test_smtp_sink_takes_what_is_relayed(tmp_path):
    (tmp_path / 'main.cf').write_text('compatibility_level=3.6\nmyhostname=sink.test\nmail_owner=www-data\nsetgid_group=games\n')
    (tmp_path / 'master.cf').write_text('')
    port = free_port()
    env = dict(os.environ, LD_LIBRARY_PATH=f'{PEER}/usr/lib/postfix:{PEER}/usr/lib/x86_64-linux-gnu', MAIL_CONFIG=str(tmp_path))
    sink = subprocess.Popen([str(SINK), '-u', 'nobody', f'127.0.0.1:{port}', '100'], env=env, stderr=subprocess.DEVNULL)
    try:
        wait_for('smtp-sink', lambda: answers(port))
        with Host(relay_from=['127.0.0.0/8'], conf=f'route default {{ via = "127.0.0.1:{port}" }}') as h:
            for qid in [h.send('a@far.test', sender='user@demo.test') for _ in range(20)]:
                line = h.wait_log('delivery.result', id=qid)
                assert 'status=delivered' in line and f'[127.0.0.1]:{port}' in line, line
    finally:
        sink.terminate()
        sink.wait(10)

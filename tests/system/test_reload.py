"""Live changes: SIGHUP with good and broken configurations while mail flows. Nobody is cut off, nothing that was
acknowledged is lost, and never more than three generations live."""
import asyncio, os, random, re, signal, time

import pytest

import load
from host import Host, Raw, free_port, wait_for


class Live(Host):
    drain = '1s'

    def conf_text(self):
        return super().conf_text().replace('processes {', f'processes {{ smtpd = 2 deliverd = 2 drain = {self.drain} ', 1)

    def hup(self):
        self.proc.send_signal(signal.SIGHUP)

    def rewrite(self):
        """The present text of the configuration, replaced as editors do."""
        path = self.dir / 'etc/mansio.conf'
        new = self.dir / 'etc/mansio.conf.new'
        new.write_text(self.conf_text())
        os.rename(new, path)

    def count(self, event):
        return len(self.log_lines(event))

    def reload(self):
        """Until the new generation works."""
        n = self.count('mtad.reload.done')
        self.rewrite()
        self.hup()
        self.wait_log('mtad.reload.done', count=n + 1)

    def settled(self):
        """One generation is left."""
        wait_for('old generations end', lambda: len(self.pids()['cleanup']) == 1 and len(self.pids()['smtpd']) == 2,
                 explain=self.log_tail)


@pytest.fixture
def live():
    with Live() as h:
        yield h


def banner(h):
    s = Raw(h.port, greet=False)
    code, text = s.reply()
    assert code == 220
    s.close()
    return text.split()[1]


def test_a_new_hostname_is_in_new_sessions(live):
    old = Raw(live.port)
    assert 'mail.demo.test' in old.cmd('EHLO a.test')[1]
    live.hostname = 'other.demo.test'
    live.reload()
    assert {banner(live) for _ in range(10)} == {'other.demo.test'}
    # The session that was there goes on as it began, for `drain`.
    assert 'mail.demo.test' in old.cmd('EHLO a.test')[1]
    assert live.send('user@demo.test')
    live.wait_mail()
    old.close()
    live.settled()
    assert not live.log_lines('mtad.child.ended')


def test_a_broken_configuration_changes_nothing(live):
    before = live.pids()
    live.extra = 'listen smtp2 { adress = [ "127.0.0.1:1" ] }'
    live.rewrite()
    live.hup()
    line = live.wait_log('mtad.reload.refused')
    assert 'mansio.conf:' in line and 'adress' in line and 'did you mean' in line, line
    live.wait_log('mtad.reload.kept', generation=1)
    assert live.pids() == before
    assert live.send('user@demo.test')
    live.wait_mail()


@pytest.mark.parametrize('extra, what', [
    ('listen busy { address = [ "127.0.0.1:PORT" ] }', 'another mail server'),
    ('map x { type = text source = "@DIR@/none" }', 'none'),
    ('mailbox nobody { lookup = users root = "@DIR@/missing" }', 'missing'),
])
def test_what_cannot_be_opened_is_refused(live, extra, what):
    import socket
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        live.extra = extra.replace('PORT', str(s.getsockname()[1]))
        live.rewrite()
        live.hup()
        assert what in live.wait_log('mtad.reload.refused')
    live.wait_log('mtad.reload.kept', generation=1)
    assert live.send('user@demo.test')


def test_listeners_come_and_go(live):
    port = free_port()
    first = live.listen
    live.listen += f'\nlisten more {{ address = [ "127.0.0.1:{port}" ] }}'
    live.reload()
    assert live.send('user@demo.test', port=port)
    session = Raw(port)
    live.listen = first
    live.reload()

    def gone():
        try:
            Raw(port, greet=False).close()
        except ConnectionError:
            return True
    wait_for('the listener is gone', gone)
    assert session.cmd('NOOP')[0] == 250      # a session of it is not
    session.close()
    live.listen = f'listen smtp {{ address = [ "127.0.0.1:{port}" ] }}'
    live.reload()
    assert live.send('user@demo.test', port=port)
    live.wait_mail(count=2)


def test_an_idle_session_hears_421_after_the_drain_time(live):
    s = Raw(live.port)
    s.cmd('EHLO a.test')
    live.reload()
    assert s.cmd('NOOP')[0] == 250
    code, _ = s.reply()             # without a command: it only sits there
    assert code == 421 and s.closed()
    live.settled()


def test_a_transaction_is_finished_whatever_the_drain_time(live):
    s = Raw(live.port)
    s.cmd('EHLO a.test')
    assert s.cmd('MAIL FROM:<a@far.test>')[0] == 250
    live.reload()
    live.wait_log('smtp.retired')
    time.sleep(2)                   # past `drain`: the test is about what happens later
    assert s.cmd('RCPT TO:<user@demo.test>')[0] == 250
    assert s.cmd('DATA')[0] == 354
    s.send('Subject: late\r\n\r\nlate\r\n.\r\n')
    assert s.reply()[0] == 250
    assert s.cmd('MAIL FROM:<a@far.test>')[0] == 421
    assert s.closed()
    assert b'late' in live.wait_mail()[0]
    live.settled()


def test_three_generations_at_most(live):
    sessions = []
    for n in range(2):
        s = Raw(live.port)
        s.cmd('EHLO a.test')
        assert s.cmd('MAIL FROM:<a@far.test>')[0] == 250
        sessions.append(s)
        live.reload()
    live.hup()
    live.wait_log('mtad.reload.waits')
    assert len(live.pids()['cleanup']) == 3
    assert sessions[0].cmd('RCPT TO:<user@demo.test>')[0] == 250
    for s in sessions:
        s.close()
    live.wait_log('mtad.reload.done', count=3)
    live.settled()

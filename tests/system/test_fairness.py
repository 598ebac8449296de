"""Fairness inside a destination: a letter and a mailing of 100,000 recipients, letters and bulk, jobs that deliverd has already."""
import json, re, socket, socketserver, subprocess, threading

import pytest

import host as host_module
from host import Host, Raw, free_port
from sink import Sink

RCPTS_MAX = 1000        # of one message of the mailing


class Gate:
    """An SMTP server whose replies to the final dot wait for go(): each transaction is one job, told of at its MAIL.
    began: (connection, sender, recipients, MT-PRIORITY or None) in order; done: the same of those that were let go."""

    def __init__(self, capabilities=('PIPELINING', 'SIZE 50000000', 'MT-PRIORITY')):
        self.cond = threading.Condition()
        self.began, self.done, self.waiting = [], [], []
        self.open = False
        self.connections = 0
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self):
                with outer.cond:
                    outer.connections += 1
                    number = outer.connections
                try:
                    self.talk(number)
                except OSError:
                    pass

            def talk(self, number):
                say = lambda text: self.wfile.write(text.encode() + b'\r\n')
                say('220 gate.test ESMTP')
                job = None
                while True:
                    line = self.rfile.readline().decode('latin-1').strip()
                    verb = line[:4].upper()
                    if not line or verb == 'QUIT':
                        return
                    if verb == 'EHLO':
                        say('\r\n'.join(['250-gate.test', *('250-' + c for c in capabilities), '250 HELP']))
                    elif verb == 'MAIL':
                        level = re.search(r'MT-PRIORITY=(\S+)', line)
                        job = [number, line[line.index('<') + 1:line.index('>')], 0, level and int(level[1])]
                        with outer.cond:
                            outer.began.append(job)
                            outer.cond.notify_all()
                        say('250 ok')
                    elif verb == 'RCPT':
                        job[2] += 1
                        say('250 ok')
                    elif verb == 'DATA':
                        say('354 go')
                        while self.rfile.readline() not in (b'.\r\n', b''):
                            pass
                        with outer.cond:
                            outer.waiting.append(job)
                            outer.cond.notify_all()
                            outer.cond.wait_for(lambda: outer.open or job not in outer.waiting, 120)
                            outer.done.append(job)
                        say('250 taken')
                    else:
                        say('250 ok')

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 200

        self.port = free_port()
        self.server = Server(('127.0.0.1', self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def go(self, n=1):
        """Lets the n jobs that wait longest end."""
        with self.cond:
            assert self.cond.wait_for(lambda: len(self.waiting) >= n, 30), f'{len(self.waiting)} jobs wait, not {n}'
            del self.waiting[:n]
            self.cond.notify_all()

    def wait(self, what, check, deadline=30):
        with self.cond:
            assert self.cond.wait_for(check, deadline), f'{what}: {len(self.began)} began, {len(self.waiting)} wait, {self.began[-5:]}'

    def free(self):
        with self.cond:
            self.open = True
            self.cond.notify_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class GatedHost(Host):
    """What runs may end when the host does."""

    def stop(self, *args):
        self.gate.free()
        return super().stop(*args)


def host(gate, route='', **kw):
    h = GatedHost(relay_from=['127.0.0.0/8'], conf=f'route big.test {{ via = "127.0.0.1:{gate.port}" {route} }}', **kw)
    h.gate = gate
    return h


def mailing(h, recipients, per_message, sender='news@demo.test', header='', mail='', to='r{}@big.test'):
    """One connection, every message in one write."""
    s = socket.create_connection(('127.0.0.1', h.port), timeout=60)
    r = s.makefile('rb')
    assert r.readline()[:3] == b'220'
    s.sendall(b'EHLO load.test\r\n')
    while r.readline()[3:4] == b'-':
        pass
    for first in range(0, recipients, per_message):
        rcpts = ''.join(f'RCPT TO:<{to.format(i)}>\r\n' for i in range(first, first + per_message))
        s.sendall(f'MAIL FROM:<{sender}>{mail}\r\n{rcpts}DATA\r\n'.encode())
        assert [line[:3] for line in (r.readline() for _ in range(per_message + 2))] == [b'250'] * (per_message + 1) + [b'354']
        s.sendall(f'{header}Subject: news\r\n\r\nnews\r\n.\r\n'.encode())
        assert r.readline()[:3] == b'250'
    s.close()


def letter(h, sender, mail='', header='', to='friend@big.test'):
    c = Raw(h.port)
    c.cmd('EHLO letter.test')
    assert c.cmd(f'MAIL FROM:<{sender}>{mail}')[0] == 250
    assert c.cmd(f'RCPT TO:<{to}>')[0] == 250
    assert c.cmd('DATA')[0] == 354
    code, text = c.cmd(f'{header}Subject: hi\r\n\r\nhi\r\n.')
    assert code == 250
    c.close()
    return re.search('([0-9A-Z]{13})', text)[1]


@pytest.mark.parametrize('connections', [1, 4])
def test_a_mailing_delays_a_letter_by_one_job_per_connection(connections):
    with Gate() as gate, host(gate, f'max_connections = {connections}') as h:
        mailing(h, 100_000, RCPTS_MAX)
        # Under way, with all connections that it gets, for a while: the window grows with every job.
        for _ in range(40):
            gate.go()
        gate.wait('all connections are busy', lambda: len(gate.waiting) == connections)
        letter(h, 'friend@demo.test')
        with gate.cond:
            before, running = len(gate.began), {j[0] for j in gate.waiting}
        # What runs ends, job by job, until the letter is there.
        while not any(j[1] == 'friend@demo.test' for j in gate.began):
            gate.go()
            gate.wait('the next job', lambda: len(gate.waiting) == connections)
        at = next(i for i, j in enumerate(gate.began) if j[1] == 'friend@demo.test')
        late = {}
        for job in gate.began[before:at]:
            late[job[0]] = late.get(job[0], 0) + 1
        assert len(running) == connections
        # Each connection had one job when the letter came. Nothing more of the mailing goes before it with one connection;
        # with several deliverds one of them may have the next job in its hands.
        assert all(n <= 1 for n in late.values()), late
        assert sum(late.values()) <= (0 if connections == 1 else connections - 1), late
        assert gate.began[0][2] == 100      # jobs, not messages, take turns


@pytest.mark.parametrize('connections', [1, 4])
def test_a_mailing_to_many_domains_delays_a_letter_to_one_of_them_by_one_job_per_connection(connections):
    """All behind one smart host, each job one domain's."""
    with Gate() as gate, GatedHost(relay_from=['127.0.0.0/8'],
                                   conf=f'route default {{ via = "127.0.0.1:{gate.port}" max_connections = {connections} }}') as h:
        h.gate = gate
        mailing(h, 3000, RCPTS_MAX, to='u@d{}.test')
        for _ in range(20):
            gate.go()
        gate.wait('all connections are busy', lambda: len(gate.waiting) == connections)
        # The mailing's turns at these have not come.
        senders = [f'friend{n}@demo.test' for n in range(3)]
        for n, sender in enumerate(senders):
            letter(h, sender, to=f'u@d{2990 + n}.test')
        with gate.cond:
            before = len(gate.began)
        while not {j[1] for j in gate.began} >= set(senders):
            gate.go()
            gate.wait('the next job', lambda: len(gate.waiting) == connections)
        last = max(next(i for i, j in enumerate(gate.began) if j[1] == sender) for sender in senders)
        late = [j for j in gate.began[before:last] if j[1] == 'news@demo.test']
        # Each letter: a job of the mailing for the same domain at most; once a turn of the mailing; what deliverds had in their hands.
        assert len(late) <= len(senders) + 1 + connections - 1, late
        assert all(j[2] == 1 for j in gate.began)


def test_letters_go_before_bulk_which_has_its_share():
    """Bulk by header, by configuration and by MT-PRIORITY, one sender for all of it; and the same sender's letters."""
    with Gate() as gate, host(gate, 'max_connections = 1') as h:
        h.stop()
        gate.open = False
        h.queue = 'bulk_senders = [ @lists.demo.test ]'
        h.start()
        letter(h, 'first@demo.test')
        gate.wait('the connection is busy', lambda: len(gate.waiting) == 1)
        bulk = ['me@demo.test', 'x@lists.demo.test', 'low@demo.test', 'me@demo.test']
        letter(h, bulk[0], header='Precedence: bulk\r\n')
        letter(h, bulk[1])
        letter(h, bulk[2], mail=' MT-PRIORITY=-2')
        letter(h, bulk[3], header='List-Id: <l.demo.test>\r\n')
        for _ in range(9):
            letter(h, 'me@demo.test')
        letter(h, 'high@demo.test', mail=' MT-PRIORITY=3')
        for n in range(15):
            gate.go()
            gate.wait('the next', lambda: len(gate.began) >= min(n + 2, 15))
        order = [j[1].split('@')[0] for j in gate.began]
        assert order[:2] == ['first', 'high']
        assert order[2:9] == ['me'] * 7
        # The eighth turn is bulk's, whatever its sender is; then letters again until there are no more.
        assert sorted(order[9:10] + order[12:]) == ['low', 'me', 'me', 'x'] and order[10:12] == ['me', 'me']
        levels = {j[1].split('@')[0]: j[3] for j in gate.began}
        assert levels['high'] == 3 and levels['low'] == -2 and levels['x'] is None and levels['me'] is None


def shown(h, qid):
    p = subprocess.run([str(host_module.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), '--json', 'queue', 'show', qid], capture_output=True, text=True,
                       timeout=60)
    assert p.returncode == 0, p
    row = next(r for r in json.loads(p.stdout)['rows'] if r['kind'] == 'envelope')
    return row.get('class'), row.get('mt_priority')


def test_what_a_message_is_lasts():
    """Said by queue show, before and after a restart."""
    with Host(relay_from=['127.0.0.0/8'], conf='route default { via = "127.0.0.1:1" }') as h:
        ids = [letter(h, 'a@demo.test'), letter(h, 'a@demo.test', header='Precedence: junk\r\n'), letter(h, 'a@demo.test', mail=' MT-PRIORITY=9'),
               letter(h, 'a@demo.test', mail=' MT-PRIORITY=0', header='List-Id: x\r\n'), letter(h, 'a@demo.test', mail=' MT-PRIORITY=9', header='List-Id: x\r\n')]
        want = [(None, None), ('bulk', None), ('urgent', '9'), ('bulk', '0'), ('bulk', '9')]
        # What programs of this host hand in is looked at as well.
        for header, class_ in ((b'', None), (b'Precedence: bulk\n', 'bulk')):
            subprocess.run([str(host_module.BUILD / 'bin/sendmail'), '-C', str(h.dir / 'etc/mansio.conf'), 'friend@big.test'], input=header + b'Subject: x\n\nx\n', check=True,
                           timeout=60)
            want.append((class_, None))
            stored = h.wait_log('queue.message.stored', count=len(want))
            ids.append(re.search(r' id=(\S+)', stored[-1])[1])
        assert [shown(h, i) for i in ids] == want
        h.restart()
        assert [shown(h, i) for i in ids] == want


def test_a_notice_is_as_urgent_as_what_it_is_about():
    with Sink(replies={'RCPT': {'friend@big.test': '550 5.1.1 nobody'}}) as s, \
         Host(relay_from=['127.0.0.0/8'], conf=f'route big.test {{ via = "127.0.0.1:{s.port}" }}\nroute default {{ via = "127.0.0.1:1" }}') as h:
        for n, (kw, want) in enumerate([({'header': 'Precedence: bulk\r\n'}, ('bulk', None)), ({'mail': ' MT-PRIORITY=4'}, ('urgent', '4')), ({}, (None, None))], 1):
            letter(h, 'a@far.test', **kw)
            notice = ([h.wait_log('cleanup.notice.composed')] if n == 1 else h.wait_log('cleanup.notice.composed', count=n))[-1]
            notice = re.search(r' id=(\S+)', notice)[1]
            h.wait_log('queue.message.stored', id=notice)
            assert shown(h, notice) == want


def test_strangers_cannot_overtake():
    """Whoever is not known may ask for less, not for more."""
    with Gate() as gate, GatedHost() as h:
        h.gate = gate
        c = Raw(h.port)
        c.cmd('EHLO x')
        assert c.cmd('MAIL FROM:<a@far.test> MT-PRIORITY=5') == (250, '250 2.3.6 Sender ok, the priority was changed to 0')
        assert c.cmd('RSET')[0] == 250
        assert c.cmd('MAIL FROM:<a@far.test> MT-PRIORITY=-5') == (250, '250 2.1.0 Sender ok')
        assert c.cmd('RSET')[0] == 250
        assert c.cmd('MAIL FROM:<a@far.test> MT-PRIORITY=x')[0] == 501
        c.close()

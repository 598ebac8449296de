"""test_requeue.py - queued mail through cleanup again: tables as they are now, each recipient once, also when daemons die; and edited envelopes"""
import collections, email, re, signal, subprocess, time

import pytest

import host
from host import Host, wait_for
from sink import Sink
from test_queue import on_terminal, rows, tool

DSN = ('PIPELINING', 'SIZE 50000000', '8BITMIME', 'ENHANCEDSTATUSCODES', 'DSN')
BODY = b'From: user@demo.test\r\nTo: list@demo.test\r\nSubject: asked\r\nDate: Sat, 21 Nov 2026 06:00:00 +0000\r\nMessage-ID: <m@demo.test>\r\n\r\nline of the body\r\n'
CONF = '''
route default { via = "127.0.0.1:@PORT@" }
map virtual { type = text source = "@DIR@/etc/virtual" }
map aliases { type = aliases source = "@DIR@/etc/aliases" }
address { virtual = virtual  aliases = aliases }
'''


class Site:
    """A host whose mail for others goes to a sink, with tables that can be changed."""

    def __init__(self, virtual='', aliases='', refuse=None, **kw):
        self.sink = Sink(capabilities=DSN, replies={'RCPT': refuse or {}}).start()
        self.h = Host(relay_from=['127.0.0.0/8'], conf=CONF.replace('@PORT@', str(self.sink.port)), users=('user', 'second', 'third', 'postmaster'), **kw)
        self.h.queue = 'retry = [ 1h ]'
        self.h.write()
        self.tables(virtual, aliases, reload=False)

    def tables(self, virtual='', aliases='', reload=True):
        for name, text in (('virtual', virtual), ('aliases', aliases)):
            new = self.h.dir / f'etc/{name}.new'
            new.write_text(text)
            new.chmod(0o644)
            new.rename(self.h.dir / 'etc' / name)
        if reload:
            tool(self.h, 'map', 'reload')

    def __enter__(self):
        self.h.start()
        return self

    def __exit__(self, *exc):
        self.h.__exit__(*exc)
        self.sink.stop()

    def submit(self, rcpts, mail='', body=BODY, sender='user@demo.test'):
        """The id. rcpts: {address: parameters}"""
        with self.h.smtp() as s:
            s.ehlo()
            for command in (f'MAIL FROM:<{sender}> {mail}', *(f'RCPT TO:<{rcpt}> {options}' for rcpt, options in rcpts.items())):
                code, text = s.docmd(command.strip())
                assert code == 250, (command, text)
            assert s.docmd('DATA')[0] == 354
            s.send(body + b'.\r\n')
            code, text = s.getreply()
            assert code == 250, text
            return text.decode().split()[-1]

    def recipients(self, qid):
        return {r['recipient'] for r in rows(self.h, 'queue', 'show', qid, kind='recipient')}

    def requeue(self, qid):
        r, = (r for r in rows(self.h, 'queue', 'requeue', qid) if r['kind'] != 'left')
        assert r['kind'] == 'requeued' and r['id'] == qid and r['new'] != qid, r
        return r['new']

    def edit(self, qid, *words):
        r, = rows(self.h, 'queue', 'edit', qid, *words)
        assert r['kind'] == 'edited', r
        return r['new']


def test_tables_as_they_are_now():
    with Site(virtual='list@demo.test a@far.test second@demo.test\n', aliases='team: user, b@far.test\n') as s:
        tool(s.h, 'pause', 'out')
        qid = s.submit({'list@demo.test': 'NOTIFY=FAILURE,DELAY ORCPT=rfc822;x@else.test', 'team@demo.test': 'NOTIFY=NEVER', 'c@far.test': ''},
                       'RET=HDRS ENVID=env+2B1 BODY=8BITMIME')
        before = tool(s.h, 'queue', 'cat', qid)
        assert s.recipients(qid) == {'a@far.test', 'second@demo.test', 'user@demo.test', 'b@far.test', 'c@far.test'}
        s.tables('list@demo.test new@far.test third@demo.test\n', 'team: b@far.test, postmaster\n')
        now = s.requeue(qid)
        assert s.recipients(now) == {'new@far.test', 'third@demo.test', 'b@far.test', 'postmaster@demo.test', 'c@far.test'}
        assert tool(s.h, 'queue', 'cat', now) == before
        assert tool(s.h, 'queue', 'show', qid, code=65)
        envelope, = rows(s.h, 'queue', 'show', now, kind='envelope')
        assert envelope['origin'].startswith(f'requeue/{qid}/') and envelope['envid'] == 'env+1' and envelope['client'] == '127.0.0.1'
        line, = s.h.log_lines('queue.message.requeued', id=qid)
        assert f'new={now}' in line and 'uid=' in line
        tool(s.h, 'resume', 'out')
        s.h.wait_mail('third'), s.h.wait_mail('postmaster')
        wait_for('the sink has all', lambda: len({line.split('>')[0].split('<')[1] for m in s.sink.messages for line in m['lines']}) == 3)
        lines = {line.split('>')[0].split('<')[1]: (line, m['mail'], m['data']) for m in s.sink.messages for line in m['lines']}
        assert set(lines) == {'new@far.test', 'b@far.test', 'c@far.test'}
        assert 'ORCPT=rfc822;x@else.test' in lines['new@far.test'][0] and 'NOTIFY=' in lines['new@far.test'][0] and 'SUCCESS' not in lines['new@far.test'][0]
        assert 'NOTIFY=NEVER' in lines['b@far.test'][0] and 'NOTIFY' not in lines['c@far.test'][0]
        for _, mail, data in lines.values():
            assert 'RET=HDRS' in mail and 'ENVID=env+2B1' in mail and mail.startswith('MAIL FROM:<user@demo.test>')
            assert data.count(b'Received:') == 1
        assert not s.h.mailbox('user') and not s.h.mailbox('second')


def test_nobody_gets_it_twice():
    """One of a list has it: the rest of the list stays as it is, and a newcomer gets nothing that the table now says."""
    with Site(virtual='list@demo.test later@far.test second@demo.test\n', refuse={'later@far.test': '450 4.2.1 come again'}) as s:
        qid = s.submit({'list@demo.test': '', 'later@other.test': ''})
        s.h.wait_mail('second')
        s.h.wait_log('delivery.result', id=qid, to='later@far.test', status='deferred')
        wait_for('the other one arrives', lambda: s.sink.messages)
        s.tables('list@demo.test later@far.test second@demo.test third@demo.test\nlater@far.test second@demo.test\n')
        wait_for('all but one are over', lambda: s.recipients(qid) == {'later@far.test'})
        now = s.requeue(qid)
        assert s.recipients(now) == {'later@far.test'}
        assert not s.h.log_lines('queue.requeue.left')
        s.tables('list@demo.test third@demo.test\nlater@far.test third@demo.test\n')
        again = s.requeue(now)   # what was a part of the list does not become it
        assert s.recipients(again) == {'later@far.test'}
        s.sink.replies['RCPT'].clear()
        tool(s.h, 'queue', 'flush', again)
        wait_for('it arrives', lambda: len(s.sink.messages) == 2)
        assert len(s.h.mailbox('second')) == 1 and not s.h.mailbox('third')


def test_the_time_of_arrival_stays():
    with Site() as s:
        tool(s.h, 'pause', 'out')
        qid = s.submit({'a@far.test': ''})
        before, = rows(s.h, 'queue', 'list', kind='message')
        wait_for('the clock goes on', lambda: time.time() > before['arrival'] + 2)
        now = s.edit(s.requeue(qid), '--add', 'b@far.test')
        s.h.kill('queued', signal.SIGKILL)
        wait_for('the queue answers', lambda: subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(s.h.dir / 'etc/mansio.conf'), 'queue', 'list'],
                                                             capture_output=True).returncode == 0)
        after, = rows(s.h, 'queue', 'list', kind='message')
        assert after['id'] == now and after['arrival'] == before['arrival'] and after['age'] >= 1, (before, after)
        assert re.search(rb'(?m)^since: \d+$', b''.join(p.read_bytes() for p in (s.h.dir / 'spool/seg').glob('*.seg')))


def test_what_cannot_be_had_stays_and_holds_stay():
    with Site(virtual='list@demo.test a@far.test\n') as s:
        tool(s.h, 'pause', 'out')
        qid = s.submit({'list@demo.test': ''})
        tool(s.h, 'queue', 'hold', qid, '--why', 'looking')
        s.tables('list@demo.test nobody@demo.test\n')
        text = tool(s.h, 'queue', 'requeue', qid, code=75)
        assert f'{qid} stays as it is: 4.3' in text and 'list@demo.test' in text and 'nobody@demo.test' not in text
        s.tables()
        text = tool(s.h, 'queue', 'requeue', qid, code=65)
        assert f'{qid} stays as it is: 5.1.1 list@demo.test' in text
        assert s.recipients(qid) == {'a@far.test'}
        s.tables('list@demo.test b@far.test\n')
        now = s.requeue(qid)
        message, = rows(s.h, 'queue', 'show', now, kind='message')
        assert message['state'] == 'held'
        tool(s.h, 'resume', 'out')
        tool(s.h, 'queue', 'release', now)
        assert s.sink.wait_messages(1)[0]['rcpt'] == ['b@far.test']
        # A bare question shows what is meant; no is no.
        tool(s.h, 'pause', 'out')
        qid = s.submit({'c@far.test': ''})
        shown, code = on_terminal(s.h, b'n', 'queue', 'requeue', '--all')
        assert 'requeue 1 message, 1 recipient?' in shown and code == 1 and s.recipients(qid) == {'c@far.test'}
        shown, code = on_terminal(s.h, b'y', 'queue', 'requeue', '--all')
        assert f'{qid} -> ' in shown and code == 0


def test_big_bodies_and_many_recipients():
    with Site() as s:
        tool(s.h, 'pause', 'out')
        body = BODY + b''.join(b'%07d and so on\r\n' % i for i in range(60000))
        big = s.requeue(s.submit({'a@far.test': ''}, body=body))
        assert (s.h.dir / 'spool/big' / big).exists() and len(list((s.h.dir / 'spool/big').iterdir())) <= 2
        everybody = {f'recipient-number-{i}@some-{i % 3}.far.test' for i in range(600)}
        many = s.submit({rcpt: '' for rcpt in everybody})
        one, = rows(s.h, 'queue', 'requeue', many)
        assert one['kind'] == 'requeued' and one['recipients'] == 600 and one['left'] == 0, one
        tool(s.h, 'resume', 'out')
        wait_for('all have it', lambda: sum(len(m['rcpt']) for m in s.sink.messages) == 601)
        count = collections.Counter(rcpt for m in s.sink.messages for rcpt in m['rcpt'])
        assert set(count) == everybody | {'a@far.test'} and set(count.values()) == {1}
        assert [m['data'].endswith(body[len(BODY):]) for m in s.sink.messages if m['rcpt'] == ['a@far.test']] == [True]


def test_edit():
    with Site(aliases='team: user, b@far.test\n') as s:
        tool(s.h, 'pause', 'out')
        qid = s.submit({'wrnog@far.test': 'NOTIFY=NEVER ORCPT=rfc822;wrnog@far.test', 'gone@far.test': '', 'team@demo.test': ''})
        for words, code, says in ((('--add', 'nobody@demo.test'), 65, 'nobody@demo.test'), (('--add', 'a b@far.test'), 64, 'no address'),
                                  (('--add', 'a@b@c.test'), 65, '5.1.3'), (('--sender', 'a@b@c'), 65, '5.1.7'), (('--remove', 'x@far.test'), 65, 'no recipient of it'),
                                  (('--replace', 'wrnog@far.test', 'nobody@demo.test'), 65, 'nobody@demo.test')):
            assert says in tool(s.h, 'queue', 'edit', qid, *words, code=code), words
        assert s.recipients(qid) == {'wrnog@far.test', 'gone@far.test', 'user@demo.test', 'b@far.test'}
        now = s.edit(qid, '--sender', 'second@demo.test', '--replace', 'wrnog@far.test', 'wrong@far.test', '--remove', 'gone@far.test', '--add', 'third@demo.test')
        assert s.recipients(now) == {'wrong@far.test', 'user@demo.test', 'b@far.test', 'third@demo.test'}
        envelope, = rows(s.h, 'queue', 'show', now, kind='envelope')
        assert re.fullmatch(r'\S+ uid \d+ \(\S+\): removed gone@far.test; replaced wrnog@far.test by wrong@far.test; added third@demo.test; '
                            r'sender user@demo.test became second@demo.test', envelope['edited']), envelope
        line, = s.h.log_lines('queue.message.edited', id=qid)
        assert f'new={now}' in line and 'replaced wrnog@far.test by wrong@far.test' in line and 'uid=' in line
        last = s.edit(now, '--remove', 'team@demo.test', '--notify')
        assert 'team@demo.test' in rows(s.h, 'queue', 'show', last, kind='envelope')[0]['edited'].split('; 2')[-1]
        tool(s.h, 'resume', 'out')
        m = s.sink.wait_messages(1)[0]
        assert m['mail'].startswith('MAIL FROM:<second@demo.test>') and m['rcpt'] == ['wrong@far.test']
        assert 'NOTIFY=NEVER' in m['lines'][0] and 'ORCPT=rfc822;wrnog@far.test' in m['lines'][0]
        s.h.wait_mail('third')
        told = email.message_from_bytes(s.h.wait_mail('second')[0])    # the sender that it has now hears of the alias, not of its members
        text = told.as_string()
        assert 'team@demo.test' in text and 'b@far.test' not in text and '5.7.1' in text
        assert not s.h.mailbox('user')


def test_two_aliases_of_one_mailbox():
    """They are one recipient, and part: each has its own."""
    with Site(aliases='one: user\ntwo: user\n') as s:
        tool(s.h, 'pause', 'out')
        qid = s.submit({'one@demo.test': '', 'two@demo.test': ''})
        assert s.recipients(qid) == {'user@demo.test'}
        s.tables(aliases='one: second\ntwo: user\n')
        now = s.requeue(qid)
        assert s.recipients(now) == {'second@demo.test', 'user@demo.test'}
        tool(s.h, 'resume', 'out')
        s.h.wait_mail('second'), s.h.wait_mail('user')


def test_who_is_left_out_is_told():
    """Somebody has it, and another address leads to him now; one leads to nobody."""
    with Site(refuse={'later@far.test': '450 4.2.1 come again'}, virtual='other@far.test later@far.test\n') as s:
        qid = s.submit({'second@demo.test': '', 'other@far.test': '', 'later@far.test': ''})
        s.h.wait_mail('second')
        wait_for('all but one are over', lambda: s.recipients(qid) == {'later@far.test'})
        s.h.wait_log('delivery.result', id=qid, to='later@far.test', status='deferred')
        s.tables('other@far.test second@demo.test\n', 'empty: /dev/null\nthird: empty, user\n')
        answer = rows(s.h, 'queue', 'requeue', qid)
        left, done = answer
        assert (left['kind'], left['id'], left['recipient'], left['original']) == ('left', qid, 'second@demo.test', 'other@far.test'), answer
        assert done['kind'] == 'requeued' and done['left'] == 1, answer
        line, = s.h.log_lines('queue.requeue.left', id=qid)
        assert 'rcpt=second@demo.test' in line and 'orig_to=other@far.test' in line and f"new={done['new']}" in line
        assert s.recipients(done['new']) == {'later@far.test'}
        assert len(s.h.mailbox('second')) == 1


MEMBERS = [f'member-{i}@domain-{i % 5}.far.test' for i in range(600)]


def three_aliases(first, second, third):
    return ''.join(f'{name}@demo.test {" ".join(MEMBERS[a:b] + MEMBERS[c:d])}\n'
                   for name, (a, b, c, d) in (('one', first), ('two', second), ('three', third)))


def test_three_aliases_with_common_members():
    """600 recipients move from one alias to another, and some are written to by name: each has one copy, whoever dies meanwhile."""
    with Site(virtual=three_aliases((0, 250, 0, 0), (200, 450, 0, 0), (400, 600, 0, 50)), mtad=['--restart-max', '100']) as s:
        tool(s.h, 'pause', 'out')
        qid = s.submit({'one@demo.test': '', 'two@demo.test': '', 'three@demo.test': '', MEMBERS[7]: '', MEMBERS[333]: ''})
        assert s.recipients(qid) == set(MEMBERS)
        s.tables(three_aliases((300, 600, 10, 20), (100, 400, 0, 0), (0, 200, 590, 600)))
        argv = [str(host.BUILD / 'bin/mtactl'), '-c', str(s.h.dir / 'etc/mansio.conf'), 'queue', 'requeue', '--all', '--yes']
        for victim in ('cleanup', 'queued', 'cleanup'):
            before = len(s.h.log_lines('cleanup.requeue.taken'))
            p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_for('cleanup has it', lambda: len(s.h.log_lines('cleanup.requeue.taken')) > before or p.poll() is not None)
            s.h.kill(victim, signal.SIGKILL)
            p.wait(120)
            wait_for('the queue answers', lambda: subprocess.run(argv[:3] + ['queue', 'list', '--limit', '1'], capture_output=True).returncode == 0)
        wait_for('cleanup is there again', lambda: subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0)
        left, = rows(s.h, 'queue', 'list', kind='message')
        assert s.recipients(left['id']) == set(MEMBERS)
        tool(s.h, 'resume', 'out')
        wait_for('all have it', lambda: sum(len(m['rcpt']) for m in s.sink.messages) >= len(MEMBERS), 60)
        wait_for('nothing is left', lambda: not rows(s.h, 'queue', 'list', kind='message'))
        count = collections.Counter(rcpt for m in s.sink.messages for rcpt in m['rcpt'])
        assert set(count) == set(MEMBERS) and set(count.values()) == {1}, count.most_common(3)


def test_another_instead_and_the_sender_is_told():
    with Site() as s:
        tool(s.h, 'pause', 'out')
        now = s.edit(s.submit({'gone@far.test': ''}), '--remove', 'gone@far.test', '--add', 'third@demo.test', '--notify')
        assert s.recipients(now) == {'third@demo.test'}
        tool(s.h, 'resume', 'out')
        s.h.wait_mail('third')
        assert 'gone@far.test' in s.h.wait_mail('user')[0].decode() and not s.sink.messages


def test_500_messages_while_cleanup_and_queued_die():
    """Whatever was moved when: each message arrives once."""
    count = 500
    with Site(virtual='list@demo.test old@far.test\n', mtad=['--restart-max', '100']) as s:
        tool(s.h, 'pause', 'out')
        with s.h.smtp() as c:
            for i in range(count):
                c.sendmail('user@demo.test', ['list@demo.test'], f'Subject: number {i}\r\n\r\nx\r\n')
        s.tables('list@demo.test new@far.test\n')
        argv = [str(host.BUILD / 'bin/mtactl'), '-c', str(s.h.dir / 'etc/mansio.conf'), 'queue', 'requeue', '--all', '--yes']
        for victim in ('cleanup', 'queued', 'cleanup', 'queued'):
            before = len(s.h.log_lines('queue.message.requeued'))
            p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_for('some are moved', lambda: len(s.h.log_lines('queue.message.requeued')) > before + 20 or p.poll() is not None)
            s.h.kill(victim, signal.SIGKILL)
            p.wait(120)
            wait_for('the queue answers', lambda: subprocess.run(argv[:3] + ['queue', 'list', '--limit', '1'], capture_output=True).returncode == 0)
        wait_for('cleanup is there again', lambda: subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0)
        assert {r['recipient'] for r in rows(s.h, 'queue', 'list', kind='recipient')} == {'new@far.test'}
        assert len(rows(s.h, 'queue', 'list', kind='message')) == count
        tool(s.h, 'resume', 'out')
        wait_for('all arrive', lambda: len(s.sink.messages) >= count, 60)
        wait_for('nothing is left', lambda: not rows(s.h, 'queue', 'list', kind='message'))
        got = collections.Counter(re.search(rb'Subject: number (\d+)', m['data']).group(1) for m in s.sink.messages)
        assert len(got) == count and set(got.values()) == {1}, got.most_common(3)
        assert {r for m in s.sink.messages for r in m['rcpt']} == {'new@far.test'}

"""test_trace.py - what became of a message: found by id, address, domain, Message-ID, client; with the words of all
sides, from acceptance to the end; and a history that is full, damaged, killed or off, which is never in the mail's way"""
import json, os, pathlib, re, shutil, signal, smtplib, subprocess, threading

import pytest

import host
from host import Host, halt, wait_for
from sink import Sink

TOOL = host.BUILD / 'bin/mtactl'


def mtactl(h, *words):
    return subprocess.run([str(TOOL), '-c', str(h.dir / 'etc/mansio.conf'), *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)


def trace(h, *words):
    """(exit status, steps, other rows)"""
    r = mtactl(h, '--json', 'trace', *words)
    rows = json.loads(r.stdout)['rows'] if r.stdout.startswith('{') else []
    return r.returncode, [x for x in rows if x['kind'] == 'step'], [x for x in rows if x['kind'] != 'step']


def wait_steps(h, key, *events, **fields):
    """Steps of a trace once all of these events are there (the history is some tenths of a second behind)."""
    def look():
        _, steps, _ = trace(h, key)
        have = [s for s in steps if all(s.get(k) == v for k, v in fields.items())]
        return steps if set(events) <= {s['event'] for s in have} else None
    return wait_for(f'{events} of {key}', look, step=0.1, explain=lambda: f'{trace(h, key)}\n{h.log_tail(20)}')


def body(mid, text='hello'):
    return f'Subject: t\r\nMessage-ID: {mid}\r\n\r\n{text}\r\n'


def test_a_delivered_message_is_found_by_everything():
    with Host() as h:
        mid = h.send('user@demo.test', body('<Some.Thing$1@far.test>'))
        h.wait_mail()
        steps = wait_steps(h, mid, 'smtp.message.accepted', 'queue.message.stored', 'delivery.result', 'queue.message.finished')
        assert [s['at'] for s in steps] == sorted(s['at'] for s in steps) and {s['id'] for s in steps} == {mid}
        assert {s['daemon'].split('[')[0] for s in steps} == {'smtpd', 'queued'}
        for key in (mid.lower(), 'stranger@far.test', 'Stranger@FAR.test', 'user@demo.test', '@demo.test', '@far.test',
                    '<Some.Thing$1@far.test>', 'some.thing$1@far.test', '127.0.0.1', steps[0]['sid']):
            assert trace(h, key)[1] == steps, key
        assert trace(h, 'nobody@far.test')[:2] == (1, [])
        text = mtactl(h, 'trace', mid).stdout
        assert 'History (mtactl trace):' in mtactl(h, 'status').stdout
        assert f'{mid}  Message-ID <Some.Thing$1@far.test>' in text and 'accepted from 127.0.0.1' in text
        assert 'delivered to user@demo.test' in text and 'it is in the queue' not in text
        assert trace(h, mid, '--since', '1h')[1] == steps
        own = [s['event'] for s in steps if s['daemon'] == 'queued[0]']  # as they were written, also those of one millisecond
        assert own == [re.search(r'event=(\S+)', line)[1] for line in h.log_lines(id=mid) if '/queued[' in line], own


def test_refusals_and_logins():
    with Host() as h:
        for to in ('x@remote.test', 'nobody@demo.test'):
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                h.send(to, sender='a@far.test')
        steps = wait_steps(h, 'x@remote.test', 'smtp.rcpt.refused')
        assert steps[0]['reply'].startswith('550 5.7.1') and 'relay.from' in steps[0]['rule']
        assert len(wait_steps(h, 'a@far.test', 'smtp.rcpt.refused', rcpt='nobody@demo.test')) == 2
        assert 'refused x@remote.test' in mtactl(h, 'trace', 'x@remote.test').stdout
        _, steps, _ = trace(h, 'a@far.test', '--limit', '1')
        assert [s['rcpt'] for s in steps] == ['nobody@demo.test'], 'the newest'


def test_deferred_then_delivered_with_the_words_of_both_attempts():
    with Sink(replies={'RCPT': {'bob@remote.test': '451 4.2.1 come back later'}}) as sink:
        conf = f'route default {{ via = "127.0.0.1:{sink.port}" }}'
        with Host(conf=conf, relay_from=['127.0.0.0/8']) as h:
            mid = h.send('bob@remote.test')
            wait_steps(h, mid, 'delivery.result', status='deferred')
            assert 'it is in the queue now' in mtactl(h, 'trace', mid).stdout
            shown = mtactl(h, 'queue', 'show', mid).stdout
            assert re.search(r'^arrival: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d', shown, re.M) and re.search(r'^age: \d+s$', shown, re.M), shown
            assert 'deferred to bob@remote.test' in shown and '451 4.2.1 come back later' in shown
            sink.replies['RCPT'] = {}
            assert mtactl(h, 'queue', 'flush', mid).returncode == 0
            steps = wait_steps(h, mid, 'queue.message.finished')
            results = [(s['status'], s['reply'][:3]) for s in steps if s['event'] == 'delivery.result']
            assert results == [('deferred', '451'), ('delivered', '250')]
            assert all('127.0.0.1' in s['relay'] for s in steps if s['event'] == 'delivery.result')


def test_aliases_notices_and_the_link_between_them():
    with Sink(replies={'RCPT': {'gone@remote.test': '550 5.1.1 who is that'}}) as sink:
        conf = f'''route default {{ via = "127.0.0.1:{sink.port}" }}
map names {{ type = inline entries = [ "info@demo.test user@demo.test, gone@remote.test" ] }}
address {{ virtual = names }}'''
        with Host(conf=conf, users=('user', 'me', 'postmaster')) as h:
            mid = h.send('info@demo.test', sender='me@demo.test')
            steps = wait_steps(h, mid, 'queue.notice.stored', 'queue.message.finished')
            results = {s['to']: s for s in steps if s['event'] == 'delivery.result' and s['id'] == mid}
            assert set(results) == {'user@demo.test', 'gone@remote.test'}
            assert {s['orig_to'] for s in results.values()} == {'info@demo.test'}
            assert '550 5.1.1 who is that' in results['gone@remote.test']['reply']
            notice = next(s['notice'] for s in steps if s['event'] == 'queue.notice.stored')
            for who, known in (('Gone@Remote.test', True), ('info@demo.test', True), ('gome@remote.test', False)):
                told = mtactl(h, 'trace', mid, '--to', who).stdout
                assert ('no step names that recipient' not in told) == known, told
                assert ('550 5.1.1 who is that' in told) == known, told
            both = wait_steps(h, 'info@demo.test', 'queue.message.finished')
            assert {s['id'] for s in both} == {mid}
            linked = wait_steps(h, notice, 'delivery.result', to='me@demo.test')
            assert {s['id'] for s in linked} == {mid, notice}, 'from the notice to what it is about'
            wait_for('the way back', lambda: {s['id'] for s in trace(h, mid)[1]} == {mid, notice}, step=0.1)


def test_who_changed_it_is_told():
    with Host(conf='route default { via = "127.0.0.1:1" }', relay_from=['127.0.0.0/8']) as h:
        mid = h.send('bob@remote.test')
        wait_steps(h, mid, 'delivery.result', status='deferred')
        for words in (('hold', mid, '--why', 'looking'), ('release', mid), ('delete', mid, '--yes')):
            assert mtactl(h, 'queue', *words).returncode == 0
        steps = wait_steps(h, mid, 'queue.message.deleted')
        done = {s['event'].split('.')[-1]: str(s.get('uid')) for s in steps if s['event'].startswith('queue.message.') and 'uid' in s}
        assert done == {e: str(os.getuid()) for e in ('held', 'released', 'deleted')}
        text = mtactl(h, 'trace', mid).stdout
        assert f'held by uid {os.getuid()}: looking' in text and f'deleted by uid {os.getuid()}\n' in text, text


def test_without_historyd_mail_goes_on_and_trace_says_so():
    with Host() as h:
        first = h.send('user@demo.test')
        wait_steps(h, first, 'queue.message.finished')
        h.kill('historyd', signal.SIGSTOP)
        for _ in range(50):
            h.send('user@demo.test')
        h.wait_mail(count=51)
        r = mtactl(h, '--wait', '1', 'trace', first)
        assert r.returncode == 75 and r.stderr, r
        h.kill('historyd', signal.SIGKILL)
        h.wait_log('mtad.child.ready', child='historyd[0]')
        wait_steps(h, first, 'queue.message.finished')
        last = h.send('user@demo.test')
        wait_steps(h, last, 'queue.message.finished')


def test_killed_under_load_refuses_nothing():
    with Host() as h:
        errors, done = [], threading.Event()

        def load():
            try:
                while not done.is_set():
                    h.send('user@demo.test')
            except Exception as e:
                errors.append(e)
        threads = [threading.Thread(target=load) for _ in range(4)]
        for t in threads:
            t.start()
        for n in range(4):
            pid = wait_for('historyd', lambda: h.pids().get('historyd'))[0]
            os.kill(pid, signal.SIGKILL)
            h.wait_log('mtad.child.ready', child='historyd[0]', count=n + 1)
        done.set()
        for t in threads:
            t.join()
        assert not errors
        n = len(h.log_lines('smtp.message.accepted'))
        h.wait_mail(count=n)
        last = h.send('user@demo.test')
        wait_steps(h, last, 'queue.message.finished')
        assert not h.log_lines('history.damaged')


def test_a_damaged_file_is_moved_aside():
    with Host() as h:
        wait_steps(h, h.send('user@demo.test'), 'queue.message.finished')
        h.stop()
        file = h.dir / 'state/historyd/history.mdb'
        with open(file, 'r+b') as f:
            f.write(b'\x5a' * 8192)
        h.start()
        h.wait_log('history.damaged')
        assert (h.dir / 'state/historyd/history.damaged').exists()
        wait_steps(h, h.send('user@demo.test'), 'queue.message.finished')


@pytest.mark.root
def test_a_full_disk_costs_lines_and_no_mail():
    h = Host()
    state = h.dir / 'state'
    h.write()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1M', 'tmpfs', state], check=True)
    try:
        with h:
            big = state / 'filler'
            with open(big, 'wb', buffering=0) as f, pytest.raises(OSError):
                while True:
                    f.write(b'x' * 4096)
            wait_for('trouble', lambda: (h.send('user@demo.test'), h.log_lines('history.write.failed'))[1], step=0.1)
            assert 'history' in mtactl(h, 'status').stdout
            n = len(h.log_lines('smtp.message.accepted'))
            h.wait_mail(count=n)
            big.unlink()
            wait_for('well again', lambda: (h.send('user@demo.test'), h.log_lines('mtad.mended', what='history'))[1], step=0.1)
            wait_steps(h, h.send('user@demo.test'), 'queue.message.finished')
            assert not h.log_lines('history.damaged') and not h.log_lines('mtad.child.ended')
    finally:
        h.stop()
        subprocess.run(['umount', state], check=True)


def test_the_queue_is_shown_while_it_hangs():
    with Host() as h:
        assert mtactl(h, 'pause', 'out').returncode == 0
        mid = h.send('user@demo.test')
        pid = h.pids()['historyd'][0]
        halt(pid)
        try:
            r = mtactl(h, '--wait', '120', 'queue', 'show', mid)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert r.returncode == 0 and 'user@demo.test' in r.stdout, r


def test_one_that_cannot_start_keeps_no_mail_waiting(tmp_path, monkeypatch):
    (tmp_path / 'bin').mkdir()
    for program in (host.BUILD / 'bin').iterdir():
        (tmp_path / 'bin' / program.name).symlink_to(program)
    (tmp_path / 'bin/mtad').unlink()
    shutil.copy(host.BUILD / 'bin/mtad', tmp_path / 'bin/mtad')
    (tmp_path / 'bin/historyd').unlink()
    shutil.copy('/bin/false', tmp_path / 'bin/historyd')
    monkeypatch.setattr(host, 'BUILD', tmp_path)
    with Host() as h:
        h.send('user@demo.test')
        h.wait_mail()
        wait_for('it is said', lambda: 'historyd' in mtactl(h, 'status').stdout, step=0.1)
        assert h.log_lines('mtad.child.ended', child='historyd[0]') and not h.log_lines('mtad.start.failed')


def test_a_directory_that_is_no_good_keeps_no_mail_waiting():
    h = Host()
    h.write()
    (h.dir / 'state').mkdir(exist_ok=True)
    (h.dir / 'state/historyd').write_text('not a directory\n')
    with h:
        assert 'historyd' not in h.pids()
        h.send('user@demo.test')
        h.wait_mail()
        status = mtactl(h, 'status')
        assert 'there is no history until the next start' in status.stdout, status
        assert mtactl(h, 'reload').returncode == 0 and 'historyd' not in h.pids()
        wait_for('a word', lambda: 'mtactl status' in mtactl(h, 'trace', 'user@demo.test').stderr)
        assert 'no history' in mtactl(h, 'status').stdout
        h.stop()
        (h.dir / 'state/historyd').unlink()
        h.start()
        wait_steps(h, h.send('user@demo.test'), 'queue.message.finished')
        assert 'no history' not in mtactl(h, 'status').stdout


def test_off_is_no_process_and_a_reload_follows():
    with Host(conf='history { keep = 0 }') as h:
        assert 'historyd' not in h.pids()
        status = mtactl(h, 'status')
        assert status.returncode == 0 and 'istory' not in status.stdout, status
        h.send('user@demo.test')
        h.wait_mail()
        wait_for('a word', lambda: 'history.keep' in mtactl(h, 'trace', 'user@demo.test').stderr)
    with Host() as h:
        mid = h.send('user@demo.test')
        wait_steps(h, mid, 'queue.message.finished')
        h.extra = 'history { keep = 0 }'
        h.write()
        assert mtactl(h, 'reload').returncode == 0
        wait_for('it is emptied', lambda: not trace(h, mid)[1], step=0.1)


def test_the_log_level_does_not_matter_and_secrets_are_not_there():
    with Host() as h:
        assert mtactl(h, 'log', 'error').returncode == 0
        mid = h.send('user@demo.test')
        steps = wait_steps(h, mid, 'smtp.message.accepted', 'queue.message.finished')
        assert not h.log_lines('smtp.message.accepted') and steps


class AllLater(dict):
    def get(self, address, default=None):
        return '450 4.2.1 come again'


def test_a_story_that_is_too_long_says_so_and_is_told_of_one_recipient():
    """More attempts than are shown: its beginning is there, what is left out is counted, and one recipient's are there in full."""
    rcpts = [f'r{i}@far.test' for i in range(1000)]
    with Sink(replies={'RCPT': AllLater()}) as sink:
        h = Host(relay_from=['127.0.0.0/8'], conf=f'route default {{ via = "127.0.0.1:{sink.port}" tls = none }}')
        with h:
            mid = h.send(rcpts, body('<many@demo.test>'), sender='user@demo.test')

            def results():
                return h.log_path.read_bytes().count(b' event=delivery.result ')

            def left_out():
                return [x for x in trace(h, mid)[2] if x['kind'] == 'left']
            rounds = 1
            while True:  # a history that has too much to do loses lines, and says so
                wait_for('an attempt for everybody', lambda: results() == rounds * len(rcpts), deadline=120, explain=lambda: f'{results()}')
                if rounds > 20 and (left_out() or rounds > 60):
                    break
                rounds += 1
                assert mtactl(h, 'queue', 'flush', mid).returncode == 0
            wait_steps(h, h.send('user@demo.test'), 'queue.message.finished')  # so the earlier lines of queued are there, too
            _, steps, others = trace(h, mid)
            left = [x for x in others if x['kind'] == 'left']
            assert len(left) == 1 and left[0]['id'] == mid and left[0]['steps'] > 0
            assert len([s for s in steps if s['event'] == 'delivery.result']) == 20000
            assert {'smtp.message.accepted', 'queue.message.stored'} <= {s['event'] for s in steps}
            text = mtactl(h, 'trace', mid).stdout
            assert 'older steps of it are not shown: --to RECIPIENT' in text and 'steps are not shown' in text.splitlines()[-1]
            code, steps, others = trace(h, mid, '--to', 'R17@far.test')
            assert code == 0 and not [x for x in others if x['kind'] == 'left']
            assert {s['to'] for s in steps if s['event'] == 'delivery.result'} == {'r17@far.test'}
            tries = len([s for s in steps if s['event'] == 'delivery.result'])
            lost = next(x for x in others if x['kind'] == 'history')['lost']
            assert tries == rounds or (lost and 0 < tries < rounds), (tries, rounds, lost)
            assert {'smtp.message.accepted', 'queue.message.stored'} <= {s['event'] for s in steps}

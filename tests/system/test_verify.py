"""mtactl queue verify: every record, body and journal line, beside the daemons at work and without them."""
import asyncio, json, shutil, subprocess

import host, load
from host import Host, wait_for
from sink import Sink

DEAD = 'route default { via = "127.0.0.1:1" }'


def verify(h, spool=None, code=0):
    """(rows by kind, text)"""
    base = [str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf')]
    words = ['queue', 'verify', *([str(spool)] if spool else [])]
    p = subprocess.run([*base, '--json', *words], capture_output=True, text=True, timeout=120)
    assert p.returncode == code, p
    answer = json.loads(p.stdout)
    assert answer['code'] == code
    rows = {}
    for r in answer['rows']:
        rows.setdefault(r['kind'], []).append(r)
    t = subprocess.run([*base, *words], capture_output=True, text=True, timeout=120)
    assert t.returncode == code, t
    return rows, t.stdout + t.stderr


def damage(path, word, with_):
    data = bytearray(path.read_bytes())
    at = data.index(word)
    data[at:at + len(with_)] = with_
    path.write_bytes(data)


def test_damage_is_found_and_named():
    h = Host(conf=DEAD, relay_from=['127.0.0.0/8'])
    h.queue = 'retry = [ 1h ]'
    with h:
        small = [h.send('a@far.test', f'Subject: t\r\n\r\nbody number {i}.\r\n', sender='user@demo.test') for i in range(5)]
        big = h.send('b@far.test', 'Subject: big\r\n\r\n' + 'a line of a large body\r\n' * 20000, sender='user@demo.test')
        h.wait_log('delivery.result', count=6)
        rows, text = verify(h)
        assert 'problem' not in rows and rows['sum'][0]['running'] == 'yes' and 'as it was written' in text
        assert rows['sum'][0]['waiting'] == 6 and rows['sum'][0]['bodies'] == 1 and rows['sum'][0]['records'] == 6
        h.stop()
        rows, _ = verify(h)
        assert 'problem' not in rows and 'note' not in rows and rows['sum'][0]['running'] == 'no'
        spool = h.dir / 'spool'
        seg = next((spool / 'seg').glob('*.seg'))

        def copy(name):
            return shutil.copytree(spool, h.dir / name)

        # One record in the middle: without an index nobody knows whose it was, with one it is named.
        index = seg.name.replace('.seg', '.idx')
        one = copy('one')
        (one / 'seg' / index).unlink()
        damage(one / 'seg' / seg.name, b'body number 2.', b'BODY')
        rows, text = verify(h, one, code=1)
        assert [(p['what'], p['file'], p['waits']) for p in rows['problem']] == [('record', f'seg/{seg.name}', 'unknown')], rows
        assert rows['sum'][0]['records'] == 5 and 'nobody can say' in text
        indexed = copy('indexed')
        damage(indexed / 'seg' / seg.name, b'body number 2.', b'BODY')
        rows, text = verify(h, indexed, code=1)
        assert [(p['what'], p['id'], p['waits']) for p in rows['problem']] == [('record', small[2], 'yes')], rows
        assert small[2] in text and 'which waits' in text
        # A torn end was never acknowledged: the next start cuts it.
        short = copy('short')
        (short / 'seg' / index).unlink()
        data = (short / 'seg' / seg.name).read_bytes()
        (short / 'seg' / seg.name).write_bytes(data[:-10])
        rows, _ = verify(h, short)
        assert [n['what'] for n in rows['note']] == ['torn'] and 'problem' not in rows and rows['sum'][0]['waiting'] == 5
        for what, change, id in (
                ('header', lambda s: (s / 'seg' / seg.name).write_bytes(b'x' * 8192 + data[8192:]), ''),
                ('body', lambda s: damage(s / 'big' / big, b'large body', b'LARGE'), big),
                ('body', lambda s: (s / 'big' / big).unlink(), big),
                ('body', lambda s: (s / 'big' / big).write_bytes(b'short'), big),
                ('journal', lambda s: [p.unlink() for p in (s / 'state').glob('*.jnl')], '')):
            bad = copy(f'bad-{what}')
            change(bad)
            rows, _ = verify(h, bad, code=1)
            assert (what, id) in [(p['what'], p['id']) for p in rows['problem']], (what, rows)
            shutil.rmtree(bad)
        verify(h, h.dir / 'nowhere', code=69)


def test_nothing_looks_damaged_while_mail_flows():
    with Sink() as sink:
        h = Host(relay_from=['127.0.0.0/8'], conf=f'route default {{ via = "127.0.0.1:{sink.port}" }}')
        with h:
            base = [str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), '--json', 'queue', 'verify']

            async def during(account):
                for _ in range(15):
                    before = len(account.acked)
                    p = await asyncio.create_subprocess_exec(*base, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                    out, err = await p.communicate()
                    assert p.returncode == 0, (out, err)
                    for _ in range(3000):   # and mail went on
                        if len(account.acked) > before:
                            break
                        await asyncio.sleep(0.01)
                    else:
                        raise AssertionError('no progress\n' + h.log_tail())

            account = asyncio.run(load.run(h.port, ['user@demo.test', 'a@far.test'], 20, during))
            assert not account.refused, account
            wait_for('all arrive', lambda: len(h.mailbox('user')) + len(sink.messages) >= len(account.acked), 120)

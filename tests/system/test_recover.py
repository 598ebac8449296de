"""docs/recover.py gets every message out of a spool without our programs."""
import pathlib, subprocess

from host import Host, ROOT, wait_for


def recover(spool, out):
    r = subprocess.run(['/usr/bin/python3', str(ROOT / 'docs/recover.py'), str(spool), str(out)], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    return r


def test_it_can_be_read_at_a_glance():
    assert len((ROOT / 'docs/recover.py').read_text().splitlines()) <= 30


def test_every_message_comes_out_of_the_spool(tmp_path):
    h = Host(relay_from=['127.0.0.0/8'], conf='route default { via = "127.0.0.1:1" }')
    h.queue = 'deliver = no'
    with h:
        small = h.send('a@far.test', 'Subject: small\r\n\r\nbody one\r\n', sender='user@demo.test')
        big = h.send('b@far.test', 'Subject: big\r\n\r\n' + 'line of a large body\r\n' * 20000, sender='user@demo.test')
        recover(h.dir / 'spool', tmp_path / 'live')
        h.stop()
        r = recover(h.dir / 'spool', tmp_path / 'out')
        assert len(r.stdout.splitlines()) == 2
        for out in (tmp_path / 'live', tmp_path / 'out'):
            text = (out / f'{small}.eml').read_bytes()
            assert text.endswith(b'Subject: small\r\n\r\nbody one\r\n')
            assert b'remote: a@far.test\n' in (out / f'{small}.env').read_bytes()
            assert (out / f'{big}.eml').read_bytes().endswith(b'line of a large body\r\n' * 20000)
        # Damage costs the message that it hits, and a copy of a record in a body is none.
        seg = sorted((h.dir / 'spool/seg').glob('*.seg'))[0]
        data = bytearray(seg.read_bytes())
        i = data.index(b'body one')
        data[i:i + 4] = b'BODY'
        seg.write_bytes(data)
        r = recover(h.dir / 'spool', tmp_path / 'damaged')
        assert [p.stem for p in (tmp_path / 'damaged').glob('*.eml')] == [big]
        assert 'damaged' in r.stderr

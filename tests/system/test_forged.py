"""A body that holds a copy of the spool's own records never becomes a second message, also after damage."""
import pytest

from host import Host, wait_for
from sink import Sink


def segments(h):
    return sorted((h.dir / 'spool/seg').glob('*.seg'))


@pytest.mark.parametrize('damage', [False, True])
def test_copied_record_in_a_body_stays_a_body(damage):
    with Sink() as sink:
        h = Host(relay_from=['127.0.0.0/8'], conf='route default { via = "127.0.0.1:1" }')
        h.queue = 'retry = [ 600s ]'
        with h:
            first = h.send('victim@far.test', 'Subject: first\r\n\r\nfirst body\r\n', sender='user@demo.test')
            h.wait_log('delivery.result', id=first)
            # What the operator can see in the spool, an attacker may have learned: the whole record, nonce included.
            raw = b''.join(p.read_bytes() for p in segments(h))
            at = raw.index(b'MANSIO1 ', raw.index(b'MANSIO1') + 1) if raw.count(b'MANSIO1') > 1 else raw.index(b'MANSIO1')
            record = raw[at:raw.index(b'first body') + 12].decode('latin-1').replace('\r\n', '\n').replace('\n', '\r\n')
            second = h.send('b@far.test', 'Subject: carrier\r\n\r\n' + record * 3, sender='user@demo.test')
            h.wait_log('delivery.result', id=second)
            third = h.send('c@far.test', 'Subject: third\r\n\r\nthird\r\n', sender='user@demo.test')
            h.wait_log('delivery.result', id=third)
            h.stop()
            if damage:
                # The carrier's own record is damaged: recovery must search for the next true record and not take the copy.
                seg = [p for p in segments(h) if b'Subject: carrier' in p.read_bytes()][0]
                data = bytearray(seg.read_bytes())
                i = data.index(b'Subject: carrier')
                data[i:i + 7] = b'XXXXXXX'
                seg.write_bytes(data)
            h.extra = f'route default {{ via = "127.0.0.1:{sink.port}" }}'
            h.queue = 'retry = [ 1s ]'
            h.start()
            sink.wait_messages(2 if damage else 3)
            for i in (first, third) if damage else (first, second, third):
                h.wait_log('queue.message.finished', id=i)
            got = sorted(r for m in sink.messages for r in m['rcpt'])
            assert got == (['c@far.test', 'victim@far.test'] if damage else ['b@far.test', 'c@far.test', 'victim@far.test'])
            assert h.stop() == 0
            assert len(sink.messages) == (2 if damage else 3)

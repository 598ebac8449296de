#!/usr/bin/python3
"""recover.py SPOOL OUT - every message of a spool (or of a copy of it), without any Mansio program: docs/QUEUE.md.
OUT/ID.eml is the message, OUT/ID.env its envelope. Delivered ones come too: what is done stands in state/, not here."""
import pathlib, re, sys

TABLE = list(range(256))
for _ in range(8):
    TABLE = [i >> 1 ^ (0x82f63b78 if i & 1 else 0) for i in TABLE]

def crc32c(data, c=0xffffffff):
    for b in data:
        c = TABLE[(c ^ b) & 255] ^ c >> 8
    return c ^ 0xffffffff

spool, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
out.mkdir(exist_ok=True)
for path in sorted((spool / 'seg').glob('*.seg')):
    data = path.read_bytes()
    nonce = next((m[1] for m in (re.match(rb'MANSIO-SEGMENT1 ([0-9a-f]{32}) ', data[at:at + 99]) for at in (0, 4096)) if m), b'?')
    for m in re.finditer(rb'MANSIO1 ' + nonce + rb' (\w{13}) (\d{8}) (\d{8}) (\d{8}) ([0-9a-f]{8})\n', data):
        name, start = m[1].decode(), m.end() + int(m[2])
        end = start + int(m[3]) + 2 + int(m[4])
        if crc32c(m[0][:-9] + data[m.end():end + 1] + b'%d %d' % (int(path.stem), m.start())) != int(m[5], 16):
            print(f'{path.name}: offset {m.start()}: damaged, or a copy inside a body', file=sys.stderr)
            continue
        big = re.search(rb'^big: ', data[m.end():start], re.M)
        (out / (name + '.env')).write_bytes(data[m.end():start])
        (out / (name + '.eml')).write_bytes(data[start:end] + ((spool / 'big' / name).read_bytes() if big else b''))
        print(name, path.name, m.start())

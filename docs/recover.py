#!/usr/bin/python3
"""recover.py SPOOL OUT - every message of a spool (or of a copy of it), without any Mansio program: docs/QUEUE.md.
OUT/ID.eml is the message, OUT/ID.env its envelope. Delivered ones come too: what is done stands in state/, not here."""
import pathlib, re, sys

TABLE = []
for i in range(256):
    for _ in range(8):
        i = i >> 1 ^ (0x82f63b78 if i & 1 else 0)
    TABLE.append(i)


def crc32c(*parts):
    c = 0xffffffff
    for part in parts:
        for b in part:
            c = TABLE[(c ^ b) & 255] ^ c >> 8
    return c ^ 0xffffffff


spool, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
out.mkdir(exist_ok=True)
for path in sorted((spool / 'seg').glob('*.seg')):
    data, number = path.read_bytes(), str(int(path.stem)).encode()
    nonce = next((m[1] for m in (re.match(rb'MANSIO-SEGMENT1 ([0-9a-f]{32}) ', data[at:at + 99]) for at in (0, 4096)) if m), b'?')
    for m in re.finditer(rb'MANSIO1 ' + nonce + rb' (\w{13}) (\d{8}) (\d{8}) (\d{8}) ([0-9a-f]{8})\n', data):
        env, header, body = (int(m[k]) for k in (2, 3, 4))
        end = m.end() + env + header + 2 + body + 1
        if crc32c(m[0][:-9], data[m.end():end], number + b' %d' % m.start()) != int(m[5], 16):
            print(f'{path.name}: offset {m.start()}: damaged, or a copy inside a body', file=sys.stderr)
            continue
        name, envelope = m[1].decode(), data[m.end():m.end() + env]
        message = data[m.end() + env:end - 1]
        if re.search(rb'^big: ', envelope, re.M):
            message += (spool / 'big' / name).read_bytes()
        (out / (name + '.env')).write_bytes(envelope)
        (out / (name + '.eml')).write_bytes(message)
        print(name, path.name, m.start(), len(message))

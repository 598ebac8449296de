"""fakedns.py - a DNS server of the test on loopback, UDP and TCP, with answers that real ones seldom give.

Zone({'far.test': {'MX': ['10 mx1.far.test', '20 mx2.far.test']}, 'mx1.far.test': {'A': ['127.0.0.2']},
      'servfail.test': 'SERVFAIL', 'silent.test': 'TIMEOUT', 'refused.test': 'REFUSED', 'big.test': {'MX': [...], 'TRUNCATE': True}})
A name that is not there is NXDOMAIN; a name without that type is NODATA. A dict value 'SERVFAIL' etc. may also
stand for one type: {'far.test': {'MX': 'SERVFAIL', 'A': [...]}}.
"""
import socket, socketserver, struct, threading

import dns.flags, dns.message, dns.name, dns.rcode, dns.rdataclass, dns.rdatatype, dns.rrset

from host import free_port

RCODES = {'SERVFAIL': dns.rcode.SERVFAIL, 'REFUSED': dns.rcode.REFUSED, 'NXDOMAIN': dns.rcode.NXDOMAIN, 'NOTIMP': dns.rcode.NOTIMP}


class Server:
    def __init__(self, zone, host='127.0.0.1'):
        self.zone = {k.lower().rstrip('.'): v for k, v in zone.items()}
        self.host = host
        self.queries = []       # (name, type, 'udp' or 'tcp')
        self.lock = threading.Lock()

    def answer(self, wire, how):
        q = dns.message.from_wire(wire)
        name = str(q.question[0].name).lower().rstrip('.')
        rtype = dns.rdatatype.to_text(q.question[0].rdtype)
        with self.lock:
            self.queries.append((name, rtype, how))
        r = dns.message.make_response(q, recursion_available=True)
        owner, seen = name, 0
        while True:
            node = self.zone.get(owner)
            if isinstance(node, bytes):
                return wire[:2] + node
            if node is None:
                r.set_rcode(dns.rcode.NXDOMAIN)
                break
            what = node if isinstance(node, str) else node.get(rtype, [])
            if isinstance(what, str):
                if what == 'TIMEOUT':
                    return None
                r.set_rcode(RCODES[what])
                break
            if isinstance(node, dict) and 'CNAME' in node and rtype != 'CNAME' and seen < 20:
                target = node['CNAME'][0].rstrip('.')
                r.answer.append(dns.rrset.from_text(owner + '.', 60, 'IN', 'CNAME', target + '.'))
                owner, seen = target.lower(), seen + 1
                continue
            if what:
                r.answer.append(dns.rrset.from_text(owner + '.', 60, 'IN', rtype, *[self.dotted(rtype, w) for w in what]))
            if how == 'udp' and isinstance(node, dict) and node.get('TRUNCATE'):
                r.answer = []
                r.flags |= dns.flags.TC
            break
        out = r.to_wire(max_size=65535)
        return out

    @staticmethod
    def dotted(rtype, text):
        if rtype in ('MX', 'PTR', 'CNAME', 'NS') and not text.endswith('.'):
            return text + '.'
        return text

    def start(self):
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                data, sock = self.request
                try:
                    out = outer.answer(data, 'udp')
                except Exception:
                    return
                if out is not None:
                    sock.sendto(out, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    while True:
                        head = self.request.recv(2, socket.MSG_WAITALL)
                        if len(head) < 2:
                            return
                        data = self.request.recv(struct.unpack('!H', head)[0], socket.MSG_WAITALL)
                        out = outer.answer(data, 'tcp')
                        if out is not None:
                            self.request.sendall(struct.pack('!H', len(out)) + out)
                except OSError:
                    return

        class ThreadingUdp(socketserver.ThreadingUDPServer):
            daemon_threads = True

        class ThreadingTcp(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        for _ in range(50):
            self.port = free_port(self.host)
            try:
                self.udp = ThreadingUdp((self.host, self.port), Udp)
            except OSError:
                continue
            try:
                self.tcp = ThreadingTcp((self.host, self.port), Tcp)
                break
            except OSError:
                self.udp.server_close()
        for s in (self.udp, self.tcp):
            threading.Thread(target=s.serve_forever, args=(0.05,), daemon=True).start()
        return self

    @property
    def address(self):
        return f'{self.host}:{self.port}'

    def asked(self, name, rtype=None, how=None):
        with self.lock:
            return [q for q in self.queries if q[0] == name and rtype in (None, q[1]) and how in (None, q[2])]

    def stop(self):
        for s in (self.udp, self.tcp):
            s.shutdown()
            s.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

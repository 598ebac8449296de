"""netns.py - moves this process into a network namespace of its own: nothing leaves it, port 25 is free, and
addresses can be added, made silent or unreachable. Needs root."""
import ctypes, os, subprocess

CLONE_NEWNET = 0x40000000


def enter():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), 'unshare(CLONE_NEWNET)')
    ip('link set lo up')


def ip(args):
    subprocess.run(['ip', *args.split()], check=True, capture_output=True)


def add_address(address):
    """An address of ours on the loopback interface."""
    ip(f'addr add {address} dev lo' + (' nodad' if ':' in address else ''))


def black_hole(network6='2001:db8:dead::/48', network4='203.0.113.0/24'):
    """Networks whose packets vanish without an answer: a cable to nowhere with fixed neighbours."""
    ip('link add hole0 type veth peer name hole1')
    ip('link set hole0 up')
    ip('link set hole1 up')
    ip('addr add 2001:db8:1::1/64 dev hole0 nodad')
    ip('addr add 198.51.100.1/24 dev hole0')
    ip('neigh add 2001:db8:1::2 lladdr 02:00:00:00:00:02 dev hole0')
    ip('neigh add 198.51.100.2 lladdr 02:00:00:00:00:02 dev hole0')
    ip(f'-6 route add {network6} via 2001:db8:1::2')
    ip(f'route add {network4} via 198.51.100.2')


def unreachable(network6='2001:db8:beef::/48'):
    """A network that is refused at once by the routing table, as on a host without IPv6."""
    ip(f'-6 route add unreachable {network6}')

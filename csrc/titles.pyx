"""Which durable or shared subscription a SUBSCRIBE or an UNSUBSCRIBE means, in the words of several brokers.

    dsub/<client-id>/<name>         ActiveMQ, Artemis   the client-id of CONNECT, and one of NAMES
    dsub/<id>/topic/<pattern>       RabbitMQ            durable:true (or persistent:true) with auto-delete
    dsub/<id>                       Apollo              persistent:true alone
    group/<name>/<pattern>          shared, not durable: subscription-group, or RabbitMQ's with auto-delete:true

These are the names of their queues, and with a slash in front what access is asked for. In them % and / of what a
client wrote stand as %25 and %2F, but in the pattern, which is the last: so no two of them are the same.

RabbitMQ knows `persistent` as another word for `durable`, and its clients must say `auto-delete:false`, which Apollo's
never do: that tells them apart.
"""
from fastbroker.core.destination cimport KIND_TOPIC, Kind, kind_of, name_in
from fastbroker.core.queue cimport Queue
from fastbroker.core.wishes cimport is_true, text

from fastbroker.core.frame import Refused

ACTIVEMQ_NAME = b"activemq.subscriptionName"
NAMES = (b"durable-subscription-name", b"durable-subscriber-name", ACTIVEMQ_NAME)   # Artemis has all three
DURABLE = (b"durable",)
PERSISTENT = (b"persistent",)
AUTO_DELETE = (b"auto-delete",)
GROUP = (b"subscription-group",)


cdef Title title_of(dict headers, bytes client_id, bytes pattern):
    """The one that a SUBSCRIBE to a topic means; None: it wants no more than a subscription of its own."""
    cdef Title title = durable_of(headers, client_id, pattern)
    cdef bytes group = text(headers, GROUP)
    if group and title is not None:
        raise Refused(b"bad header", b"subscription-group is for subscriptions that are not durable. Durable ones are "
                      b"shared under their own names.")
    if group:
        return new_title(b"group/%b/%b" % (part(group), pattern), pattern, False)
    return title


cdef bytes title_to_end(dict headers, bytes client_id, Subscription own):
    """The durable one that an UNSUBSCRIBE deletes; None: it deletes none. `own` is the subscription with its id."""
    cdef Queue queue
    cdef Title title
    if name_of_client(headers) is None:
        if not is_true(headers, DURABLE + PERSISTENT) or not headers.get(b"id"):
            return None
        if own is not None:
            queue = own.source
            return queue.name if queue is not None and queue.kept is not None and is_lasting(queue.name) else None
    title = durable_of(headers, client_id, pattern_in(headers))
    return title.name if title is not None and title.lasts else None


cdef bint is_lasting(bytes name) except -1:
    return name.startswith(b"dsub/")


cdef Title durable_of(dict headers, bytes client_id, bytes pattern):
    """The word `durable`, as RabbitMQ's others, decides before Apollo's; a name before both."""
    cdef bytes header = name_of_client(headers)
    cdef bint is_durable = is_true(headers, DURABLE), is_persistent = is_true(headers, PERSISTENT)
    if header is not None:
        return of_client(headers, header, client_id, pattern)
    if is_durable or (is_persistent and AUTO_DELETE[0] in headers):
        return of_rabbit(id_in(headers), pattern, not is_true(headers, AUTO_DELETE))
    if is_persistent:
        return new_title(b"dsub/" + part(id_in(headers)), pattern, True)
    return None


cdef Title of_client(dict headers, bytes header, bytes client_id, bytes pattern):
    """ActiveMQ's has one subscriber at a time. With another pattern it is another subscription, as in JMS."""
    cdef Title title
    if client_id is None:
        raise Refused(b"missing header", b"%b needs a client-id header in CONNECT." % header)
    title = new_title(b"dsub/%b/%b" % (part(client_id), part(headers[header])), pattern, True)
    title.alone = header == ACTIVEMQ_NAME
    title.renews = True
    return title


cdef Title of_rabbit(bytes id, bytes pattern, bint lasts):
    if pattern is None:
        return None
    if lasts:
        return new_title(b"dsub/%b/topic/%b" % (part(id), pattern), pattern, True)
    return new_title(b"group/%b/%b" % (part(id), pattern), pattern, False)


cdef Title new_title(bytes name, bytes pattern, bint lasts):
    cdef Title new = Title()
    new.name = name
    new.pattern = pattern
    new.lasts = lasts
    return new


# ---- reading headers ----

cdef bytes name_of_client(dict headers):
    """The header that has the name of a durable subscription, the first that is not empty; or None."""
    return next((name for name in NAMES if headers.get(name)), None)


cdef bytes id_in(dict headers):
    cdef bytes id = headers.get(b"id")
    if not id:
        raise Refused(b"missing header", b"A durable subscription needs an id header, by which it is found again.")
    return id


cdef bytes pattern_in(dict headers):
    """That of an UNSUBSCRIBE, which may name no destination."""
    cdef bytes destination = headers.get(b"destination")
    cdef Kind kind
    if not destination:
        return None
    kind = kind_of(destination)
    return name_in(destination, kind) if kind == KIND_TOPIC else None


cdef bytes part(bytes text):
    return text.replace(b"%", b"%25").replace(b"/", b"%2F")

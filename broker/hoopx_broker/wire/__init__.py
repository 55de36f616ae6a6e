"""Wire protocols as machines without sockets: frames in, effects out."""

"""The wire format of protobuf, walked without reading the payloads."""

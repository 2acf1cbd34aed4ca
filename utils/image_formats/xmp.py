"""XMP: a packet of XML about a picture, parsed and written anew."""

from __future__ import annotations

from xml.etree import ElementTree

_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_GPS = _EXIF + "GPS"
_TIFF = "{http://ns.adobe.com/tiff/1.0/}"
_XAP = "{http://ns.adobe.com/xap/1.0/}"
# True of the old file only: its layout, its thumbnails, and the pictures that stood behind it.
_DROPPED = frozenset(
    {
        _TIFF + "Orientation",
        _TIFF + "ImageWidth",
        _TIFF + "ImageLength",
        _EXIF + "PixelXDimension",
        _EXIF + "PixelYDimension",
        _XAP + "Thumbnails",
        "{http://ns.google.com/photos/1.0/container/}Directory",
        "{http://ns.adobe.com/xmp/note/}HasExtendedXMP",
    }
)
# ElementTree names prefixes ns0, ns1… unless told the usual ones.
_PREFIXES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
}
# The wrapper of the standard (ISO 16684-1, 7.3.2), by which programs find a packet in any file.
_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'.encode()
_END = b'<?xpacket end="r"?>'

_LARGEST = 1 << 20  # bytes; a parsed packet takes some fifty times as much memory

for _prefix, _uri in _PREFIXES.items():
    ElementTree.register_namespace(_prefix, _uri)


def rewrite(packet: bytes, *, keep_gps: bool = True) -> bytes | None:
    """A packet parsed and serialised again, without what would be wrong of the new picture.

    Comments and processing instructions are lost in parsing, and text is escaped, so nothing in the
    result can be taken for a program.

    Returns:
        None where it is no XML in UTF-8, or is too large or too deep to be honest, or declares a document
        type and with it, perhaps, entities.
    """
    if len(packet) > _LARGEST:
        return None
    try:
        text = packet.decode("utf-8").strip("\0\ufeff \r\n\t")
        if not text or "<!DOCTYPE" in text:
            return None
        root = ElementTree.fromstring(text)  # noqa: S314  no document type, so no entities
        _prune(root, keep_gps)
        content = bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=False))
    except (UnicodeDecodeError, ElementTree.ParseError, RecursionError):
        return None
    return _BEGIN + content + _END


def has_gps(packet: bytes) -> bool:
    """Whether a packet that `rewrite` made tells a place."""
    root = ElementTree.fromstring(packet)  # noqa: S314  made by ourselves
    names = (name for element in root.iter() for name in (element.tag, *element.attrib))
    return any(name.startswith(_GPS) for name in names)


def _prune(root: ElementTree.Element, keep_gps: bool) -> None:
    for element in list(root.iter()):
        for name in [name for name in element.attrib if _is_dropped(name, keep_gps)]:
            del element.attrib[name]
        for child in [child for child in element if _is_dropped(child.tag, keep_gps)]:
            element.remove(child)


def _is_dropped(name: str, keep_gps: bool) -> bool:
    return name in _DROPPED or (not keep_gps and name.startswith(_GPS))

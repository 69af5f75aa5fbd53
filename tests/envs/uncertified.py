"""Which tasks have no certificate yet."""

UNCERTIFIED = frozenset(
    {
        *("NotificationSwitch-v0", "ChannelMatrix-v0", "ProfileUpdate-v0", "SecurityPanel-v0"),
        *("DashboardFigure-v0", "TableLookup-v0", "TopRow-v0", "RecordField-v0"),
        *("MailCompose-v0", "MailReply-v0", "MailForward-v0", "SheetToMail-v0"),
        *("FileDownload-v0", "FileRename-v0", "FileMove-v0", "FileConvert-v0"),
        *("EventSignup-v0", "RoomBooking-v0", "VisitorPass-v0"),
        *("WikiSearch-v0", "LatestInvoice-v0", "MarketFilter-v0"),
    }
)
"""Tasks that came with the six families and are not certified yet: this list may only shrink."""

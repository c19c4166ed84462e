### Was die Seiten sagen, auf Deutsch.

direction = ltr

## Alle Seiten

allow = Erlauben
deny = Ablehnen
go-on = Weiter
not-you = Das sind nicht Sie?
switch-account = Mit einem anderen Konto anmelden
application = Anwendung

## Die Adresse des Ausstellers

front-title = Anmeldedienst
front-lead = Anwendungen schicken Sie hierher, damit Sie sich anmelden und bestimmen, was sie für Sie tun dürfen. Ohne eine Anwendung gibt es hier nichts zu tun.
front-issuer = Aussteller

## Anmelden

sign-in-title = Anmelden
sign-in-lead = und weiter zu { $client }
sign-in-username = Benutzername
sign-in-password = Passwort
sign-in-submit = Anmelden
sign-in-wrong = Benutzername oder Passwort stimmt nicht.
too-many-attempts =
    { $secs ->
        [one] Zu viele Versuche. Versuchen Sie es in einer Sekunde noch einmal.
       *[other] Zu viele Versuche. Versuchen Sie es in { $secs } Sekunden noch einmal.
    }

account-title = Konto wählen
account-continue = Weiter als { $username }

## Erlauben oder ablehnen

consent-title = Zugriff erlauben?
consent-heading = { $client } bittet um Zugriff
consent-account = Sie sind angemeldet als { $username }.
consent-where = Wo
consent-destination = Danach geht es zu
consent-remember =
    { $days ->
        [one] Einen Tag lang nicht mehr fragen, solange nicht mehr verlangt wird als das hier
       *[other] { $days } Tage lang nicht mehr fragen, solange nicht mehr verlangt wird als das hier
    }
about-registered-itself = Diese Anwendung hat sich selbst registriert. Niemand hier hat Namen und Logo geprüft.
about-known-by-address = Niemand hier hat diese Anwendung geprüft. Sie ist nur durch ihre Adresse bekannt: { $host }
about-policy = Was sie mit Ihren Daten macht
about-terms = Ihre Nutzungsbedingungen
asked-all = Die Anwendung möchte für Sie handeln.
asked-heading = Die Anwendung möchte
asked-scope = { $scope } verwenden
scope-openid = Sie an Ihrem Konto wiedererkennen
scope-profile = Ihren Namen und Ihr Profil sehen
scope-email = Ihre E-Mail-Adresse sehen
scope-address = Ihre Postanschrift sehen
scope-phone = Ihre Telefonnummer sehen
scope-offline-access = Diesen Zugriff behalten, während Sie abgemeldet sind
details-heading = Im Einzelnen
details-hint = Entfernen Sie das Häkchen bei allem, was Sie nicht erlauben möchten.
value-none = nichts
value-yes = ja
value-no = nein

## Ein Gerät verbinden

device-title = Gerät verbinden
device-type-code = Geben Sie den Code ein, den Ihr Gerät anzeigt.
device-same-code = Fahren Sie nur fort, wenn Ihr Gerät genau diesen Code anzeigt.
device-code = Code
device-code-not-good = Dieser Code ist unbekannt oder abgelaufen. Lassen Sie Ihr Gerät einen neuen anzeigen.
device-consent-title = Dieses Gerät verbinden?
device-consent-lead = { $client } bittet um Zugriff. Sie sind angemeldet als { $username }.
device-compare = Erlauben Sie nur, wenn Ihr eigenes Gerät jetzt diesen Code anzeigt.
device-warning = Wenn Ihnen jemand den Code oder einen Link auf diese Seite geschickt hat, lehnen Sie ab.
device-connected-title = Ihr Gerät ist verbunden
device-connected-text = Kehren Sie zu ihm zurück. Sie können diese Seite schließen.
device-refused-title = Ihr Gerät wurde nicht verbunden
device-refused-text = Es hat nichts erhalten. Sie können diese Seite schließen.

## Abmelden

logout-title = Abmelden?
logout-client = { $client } hat Sie hierher geschickt, damit Sie sich abmelden.
logout-stay = Um angemeldet zu bleiben, schließen Sie diese Seite.
logout-submit = Abmelden
signed-out-title = Sie sind abgemeldet
signed-out-text = Sie können diese Seite schließen.

## Zurück zur Anwendung

return-title = Diese Anfrage kann nicht erfüllt werden
return-lead = { $client } hat um etwas gebeten, das nicht möglich ist. Sie haben nichts falsch gemacht.
return-submit = Zurück zu { $client }
post-back-title = Zurück zu { $client }
post-back-lead = Es geht weiter zu { $destination }. Wenn nichts geschieht, drücken Sie den Knopf.

## Fehler

error-title = Diese Anfrage kann nicht beantwortet werden
error-lead = Die Anwendung oder der Link, über den Sie kamen, hat um etwas gebeten, das nicht möglich ist. Ihren Entwicklern hilft dies:
nothing-here-title = Hier ist nichts
nothing-here-text = Unter dieser Adresse gibt es keine Seite.
unavailable-title = Versuchen Sie es noch einmal
unavailable-text = Bei uns ist gerade etwas nicht verfügbar. Versuchen Sie es in einigen Sekunden noch einmal.

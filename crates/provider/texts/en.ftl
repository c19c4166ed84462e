### What the pages say, in English. Every message is in every language, with the same variables.
### Variables are names or addresses that others wrote; they are shown as they are.

# The direction that the language is written in: ltr or rtl.
direction = ltr

## All pages

allow = Allow
deny = Deny
go-on = Continue
not-you = Not you?
switch-account = Sign in as somebody else
application = Application

## The issuer's own address

front-title = Sign-in service
front-lead = Applications send you here to sign in and to say what they may do for you. There is nothing to do here without one.
front-issuer = Issuer

## Signing in

sign-in-title = Sign in
# $client: the application that sent the user here
sign-in-lead = to continue to { $client }
sign-in-username = Username
sign-in-password = Password
sign-in-submit = Sign in
sign-in-wrong = Username or password is not right.
# $secs: how long to wait, a number
too-many-attempts =
    { $secs ->
        [one] Too many attempts. Try again in one second.
       *[other] Too many attempts. Try again in { $secs } seconds.
    }

account-title = Choose an account
# $username: who is signed in
account-continue = Continue as { $username }

## Allowing or denying

consent-title = Allow access?
consent-heading = { $client } asks for access
# $username: who is signed in
consent-account = You are signed in as { $username }.
consent-where = Where
consent-destination = You go to
# $days: a number. "It" is the application
consent-remember =
    { $days ->
        [one] Do not ask me again for a day, as long as it asks for no more than this
       *[other] Do not ask me again for { $days } days, as long as it asks for no more than this
    }
about-registered-itself = This application registered itself. Nobody here has checked its name and logo.
# $host: where the application's own description was fetched
about-known-by-address = Nobody here has checked this application. It is known by its address alone: { $host }
about-policy = What it does with your data
about-terms = Its terms of service
asked-all = It wants to act for you.
asked-heading = It wants to
# $scope: a word of the resource's own, such as photos.read
asked-scope = Use { $scope }
scope-openid = Recognize you by your account
scope-profile = See your name and profile
scope-email = See your e-mail address
scope-address = See your postal address
scope-phone = See your phone number
scope-offline-access = Keep this access while you are signed out
details-heading = In detail
details-hint = Untick what you do not want to allow.
value-none = none
value-yes = yes
value-no = no

## Connecting a device

device-title = Connect a device
device-type-code = Type the code that your device shows.
device-same-code = Go on only if your device shows this very code.
device-code = Code
device-code-not-good = This code is not known, or its time is over. Have your device show a new one.
device-consent-title = Connect this device?
device-consent-lead = { $client } asks for access. You are signed in as { $username }.
device-compare = Allow only if your own device shows this code now.
device-warning = If somebody sent you the code or a link to this page, deny.
device-connected-title = Your device is connected
device-connected-text = Go back to it. You can close this page.
device-refused-title = Your device was not connected
device-refused-text = It was given nothing. You can close this page.

## Signing out

logout-title = Sign out?
logout-client = { $client } sent you here to sign out.
logout-stay = To stay signed in, close this page.
logout-submit = Sign out
signed-out-title = You are signed out
signed-out-text = You can close this page.

## Going back to the application

return-title = This request cannot be granted
return-lead = { $client } asked for something that is not possible. You did nothing wrong.
return-submit = Go back to { $client }
post-back-title = Back to { $client }
# $destination: the host that the browser goes to
post-back-lead = You go on to { $destination }. If nothing happens, press the button.

## Errors

error-title = This request cannot be answered
# Followed by a sentence in English, for the developers of the application.
error-lead = The application or the link that brought you here asked for something that is not possible. Its developers can use this:
nothing-here-title = There is nothing here
nothing-here-text = No page has this address.
unavailable-title = Try again
unavailable-text = Something on our side is not available for the moment. Try again in a few seconds.

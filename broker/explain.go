package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Explain says in words why a connection could not be made, for whoever stands
// beside the device with the log before them. The library's and the system's
// own words follow, and err is what is wrapped. user is the name that was logged
// in with.
func Explain(err error, user string) error {
	var words string
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		words = fmt.Sprintf("the broker refuses %q: the password is wrong, was replaced or was revoked, or the certificate that goes with it is missing; the broker's log says which", user)
	case errors.Is(err, packets.ErrorRefusedIDRejected):
		words = fmt.Sprintf("the broker refuses the name %s, perhaps because another device is connected with it", user)
	case errors.Is(err, packets.ErrorRefusedServerUnavailable):
		words = "the broker takes nobody in at the moment"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		words = fmt.Sprintf("the broker's certificate is valid from %s to %s only, so it has expired, or this clock is wrong",
			invalid.Cert.NotBefore.UTC().Format("2 January 2006"), invalid.Cert.NotAfter.UTC().Format("2 January 2006"))
	case errors.As(err, &host):
		words = "the broker's certificate is for another name than the one in broker.url"
	case errors.As(err, &unknown):
		words = "the broker's certificate is signed by nobody that is trusted here: broker.ca_file names who is"
	case errors.As(err, &record):
		words = "the broker does not speak TLS at this address: broker.url begins with ssl:// where it should begin with tcp://, or has the wrong port"
	default:
		// The library for TLS has no values for what the other side says.
		text := err.Error()
		for alert, meaning := range alerts {
			if strings.Contains(text, "remote error: tls: "+alert) {
				words = meaning
			}
		}
	}
	if words == "" {
		return err
	}
	return fmt.Errorf("%s (%w)", words, err)
}

// alerts are what a broker says of our certificate before it hangs up.
var alerts = map[string]string{
	"expired certificate":           "the broker refuses our certificate: it has expired; issue a new one",
	"unknown certificate authority": "the broker refuses our certificate: it does not know who signed it; issue a new one",
	"bad certificate":               "the broker refuses our certificate; its log says why",
	"certificate required":          "the broker wants a certificate and we have none",
}

using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace SecureMessaging.Load.Subjects;

/// <summary>A certificate for 127.0.0.1 (ECDSA P-256, as public authorities issue them), in the forms that servers read.</summary>
/// <param name="Pem">The certificate as PEM.</param>
/// <param name="Key">Its private key as PEM.</param>
/// <param name="Pkcs12">Both in one file without a password.</param>
internal sealed record Certificate(string Pem, string Key, string Pkcs12)
{
    public const string Subject = "CN=127.0.0.1";

    public static Certificate Create(string directory)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(Subject, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(30));
        var files = new Certificate(
            Path.Combine(directory, "certificate.pem"), Path.Combine(directory, "certificate.key"), Path.Combine(directory, "certificate.p12"));
        File.WriteAllText(files.Pem, certificate.ExportCertificatePem());
        File.WriteAllText(files.Key, key.ExportPkcs8PrivateKeyPem());
        File.WriteAllBytes(files.Pkcs12, certificate.Export(X509ContentType.Pkcs12));
        return files;
    }
}
